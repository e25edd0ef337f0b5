"""`lsps backup`: a copy of the store while the LSP serves, and of the client's journal."""

from __future__ import annotations

from pathlib import Path

from lsps.store.sqlite.opening import open_order_store_read_only
from tests.cli.terminal import Terminal, Town

YES = ("--yes", "--max-fee-sat", "20000")


async def test_a_copy_while_serving(shop: Town, tmp_path: Path) -> None:
    """The copy must be told in words and in JSON, hold what was sold, and be private; the LSP serves on."""
    assert (await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES)).code == 0
    result = await shop.run("backup", "copy.db")
    assert result.code == 0
    assert f"copy   {tmp_path / 'copy.db'}\n" in result.out
    assert "holds  1 orders, 1 leases\n" in result.out
    assert "holds the secret" in result.err
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert (await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES)).code == 0
    told = (await shop.run("backup", "newer.db", "--json")).json["backup"]
    assert (told["file"], told["of"]) == (str(tmp_path / "newer.db"), str(tmp_path / "lsp.db"))
    assert told["bytes"] == (tmp_path / "newer.db").stat().st_size
    assert (told["rows"]["orders"], told["rows"]["extensions"], told["holds_secret"]) == (2, 2, True)
    book = (await shop.run("orders", "--service", "--json")).json
    (tmp_path / "copy.toml").write_text('store = "sqlite://newer.db"\n')
    assert (await shop.run("orders", "--service", "--json", "--config", str(tmp_path / "copy.toml"))).json == book


async def test_the_secret_is_not_shown(shop: Town, tmp_path: Path) -> None:
    """Neither output has the secret that the copy holds, as bytes or as hex."""
    results = [await shop.run("backup", "a.db", "-v"), await shop.run("backup", "b.db", "--json")]
    reader = open_order_store_read_only(tmp_path / "a.db")
    secret = await reader.preimage_secret()
    await reader.close()
    assert all(
        secret.hex() not in (shown := result.out + result.err) and repr(secret) not in shown for result in results
    )


async def test_a_file_that_is_there_is_kept(shop: Town, tmp_path: Path) -> None:
    """Without --force an existing file must stay as it is, exit code 1; with it, it is replaced."""
    (tmp_path / "copy.db").write_text("mine")
    result = await shop.run("backup", "copy.db", "--json")
    assert (result.code, result.json["error"]["kind"]) == (1, "CopyRefused")
    assert "--force" in result.err
    assert (tmp_path / "copy.db").read_text() == "mine"
    assert (await shop.run("backup", "copy.db", "--force")).code == 0
    assert (await shop.run("backup", "lsp.db", "--force")).code == 1


async def test_a_copy_of_the_journal(shop: Town, tmp_path: Path) -> None:
    """--journal copies what this machine bought; there is no secret to warn of, and no LSP's configuration to name."""
    assert (await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES)).code == 0
    result = await shop.run("backup", "journal.db", "--journal")
    assert (result.code, result.err) == (0, "")
    assert "holds  1 entries\n" in result.out
    (tmp_path / "other" / "lsps").mkdir(parents=True)
    (tmp_path / "journal.db").rename(tmp_path / "other" / "lsps" / "client.db")
    there = Terminal(tmp_path, environment={"XDG_STATE_HOME": str(tmp_path / "other")})
    bought = (await shop.run("orders", "--json")).json
    assert len(bought["orders"]) == 1
    assert (await there.run("orders", "--json")).json == bought
    assert (await shop.run("backup", "x.db", "--journal", "--config", "lsps.toml")).code == 2


async def test_nothing_to_copy(terminal: Terminal) -> None:
    """Where no LSP ever served, the store that was looked for is named, and no file is made."""
    result = await terminal.run("backup", "copy.db")
    assert result.code == 1
    assert str(terminal.directory / "state" / "lsps" / "lsps.db") in result.err
    assert not (terminal.directory / "copy.db").exists()
