"""What every node adapter must hold: the promises of lsps.node.contract as tests. See environment.py."""
