"""`paceline catalogue` and `paceline train affinity`: what they print, and when they fail."""

from pathlib import Path

import pytest

from bidder.__main__ import main
from bidder.campaigns.demo import demo_book_path
from bidder.campaigns.load import load_book
from bidder.catalogue.feed import read_feed
from bidder.catalogue.snapshot import Catalogues
from bidder.keys import product_key

HEADER = "id,title,link,image_link,price,availability\n"
LINE = "b{n},Boot,https://s.example/{n},https://c.example/{n}.webp,19.99 {currency},{stock}\n"
SHOPS = ("fernhill", "solepath", "voltaro")


def lines(count: int, currency: str = "EUR") -> str:
    return "".join(
        LINE.format(n=number, currency=currency, stock="out_of_stock" if number == 1 else "")
        for number in range(count)
    )


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The demo's shops, with data in a folder of the test's own."""
    path = tmp_path / "paceline.toml"
    path.write_text(f'data_dir = "{tmp_path / "data"}"\n')
    return path


@pytest.mark.parametrize("shop", SHOPS)
def test_the_demos_feeds_have_no_problem(shop: str) -> None:
    """Every product of the three shops is good, in the shop's currency, on its own domains."""
    book = {advertiser.id: advertiser for advertiser in load_book(demo_book_path()).advertisers}
    source = book[shop].feed
    assert source is not None
    feed = read_feed(demo_book_path() / source.location, source.format, book[shop].currency)
    assert (feed.problems, feed.advice) == ([], [])
    assert len(feed.products) > 30
    assert feed.counts.out_of_stock == 3
    assert {product.currency for product in feed.products} == {book[shop].currency}
    assert all(product.url.startswith(f"https://{shop}.example/") for product in feed.products)
    assert all(product.image_url.startswith(f"https://cdn.{shop}.example/") for product in feed.products)
    assert all(product.image_bytes for product in feed.products)


def test_check_prints_counts_and_located_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems on stderr with file and line, counts on stdout; a feed that can be used is done."""
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER + lines(9) + "b9,,,,,\n" + LINE.format(n=3, currency="EUR", stock=""))
    assert main(["catalogue", "check", str(feed)]) == 0
    printed = capsys.readouterr()
    assert printed.out.endswith("feed.csv: 9 products, 1 out of stock, 1 skipped, 1 repeated, 0 categories\n")
    assert "feed.csv:11: price: is missing" in printed.err
    assert "advice: feed.csv:12: id: b3 again" in printed.err


def test_check_refuses_what_a_service_would_refuse(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another currency, an absent file, and a name that tells no format."""
    feed = tmp_path / "feed.data"
    feed.write_text(HEADER + lines(3, "USD"))
    assert main(["catalogue", "check", str(feed), "--format", "csv", "--currency", "eur"]) == 1
    assert "is in USD; the advertiser counts in EUR" in capsys.readouterr().err
    assert main(["catalogue", "check", str(feed), "--format", "csv", "--currency", "usd"]) == 0
    assert main(["catalogue", "check", str(feed)]) == 1
    assert "say --format" in capsys.readouterr().err
    assert main(["catalogue", "check", str(tmp_path / "none.csv")]) == 1
    assert "No such file" in capsys.readouterr().err


def test_check_for_an_advertiser(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its currency and its domains count; one that nobody knows is told."""
    feed = tmp_path / "feed.csv"
    feed.write_text(HEADER + lines(3, "USD"))
    check = ["catalogue", "check", str(feed), "--config", str(config), "--advertiser"]
    assert main([*check, "voltaro"]) == 1
    assert "is in USD; the advertiser counts in " in capsys.readouterr().err
    own = next(each for each in load_book(demo_book_path()).advertisers if each.id == "voltaro")
    feed.write_text(HEADER + lines(3, own.currency))
    assert main([*check, "voltaro"]) == 0
    foreign = "advice: feed.csv:2: link: leads to s.example, not to voltaro.example"
    assert capsys.readouterr().err.startswith(foreign)
    assert main([*check, "nobody"]) == 1
    assert "paceline: there is no advertiser nobody" in capsys.readouterr().err


def test_build_and_list(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A catalogue is in place after `build`, as it was after another; `list` shows it, also when it is damaged."""
    assert main(["catalogue", "list", "--config", str(config)]) == 0
    assert "no catalogue is in" in capsys.readouterr().out
    assert main(["catalogue", "build", "voltaro", "--config", str(config)]) == 0
    assert "43 products, 3 out of stock" in capsys.readouterr().out
    assert main(["catalogue", "build", "voltaro", "--config", str(config)]) == 0
    assert "as it was" in capsys.readouterr().out
    assert main(["catalogue", "list", "--config", str(config)]) == 0
    assert "feeds/voltaro.jsonl (jsonl, every 1h)" in capsys.readouterr().out
    (file,) = (tmp_path / "data" / "catalogues" / "voltaro").glob("*.bin")
    file.write_bytes(b"x")
    assert main(["catalogue", "list", "--config", str(config)]) == 0
    assert "cannot be used: not a file of this form" in capsys.readouterr().out


def test_build_says_what_it_cannot_do(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown advertiser, and a feed that is not there."""
    assert main(["catalogue", "build", "nobody", "--config", str(config)]) == 1
    nobody = "paceline: there is no advertiser nobody; known: fernhill, solepath, voltaro\n"
    assert capsys.readouterr().err == nobody
    config.write_text(config.read_text() + f'[catalogue]\nfolder = "{tmp_path}"\n')
    assert main(["catalogue", "build", "voltaro", "--config", str(config)]) == 1
    absent = f"{tmp_path}/feeds/voltaro.jsonl cannot be read: No such file or directory"
    assert capsys.readouterr().err == f"paceline: voltaro: {absent}; there is no catalogue yet\n"


def test_a_trained_model_is_in_the_next_catalogue(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a file of sessions to similar products, for one advertiser alone."""
    sessions = tmp_path / "sessions.tsv"
    sessions.write_text("session\titem\ttime\n1\tvt-001\t1\n1\tvt-002\t2\n2\tvt-001\t1\n2\tvt-002\t2\n")
    train = [
        "train",
        "affinity",
        "--advertiser",
        "voltaro",
        "--sessions",
        str(sessions),
        "--config",
        str(config),
    ]
    assert main(train) == 0
    assert "voltaro: 2 sessions, 2 products, 1 pair in" in capsys.readouterr().out
    assert main(["catalogue", "build", "voltaro", "--config", str(config)]) == 0
    assert main(["catalogue", "build", "fernhill", "--config", str(config)]) == 0
    catalogues = Catalogues(tmp_path / "data" / "catalogues")
    catalogues.refresh()
    catalogue, other = catalogues.of("voltaro"), catalogues.of("fernhill")
    assert catalogue is not None
    assert other is not None
    rows, _ = catalogue.similar(catalogue.find(product_key("voltaro", "vt-001")))
    assert rows.tolist() == [catalogue.find(product_key("voltaro", "vt-002"))]
    assert other.facts.model == ""


def test_training_says_what_it_cannot_do(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No sessions keep what is there; an unknown advertiser, a file of nobody's, and a bad file fail."""
    (tmp_path / "data" / "events").mkdir(parents=True)
    assert main(["train", "affinity", "--config", str(config)]) == 0
    assert "solepath: no sessions, nothing trained" in capsys.readouterr().out
    assert main(["train", "affinity", "--advertiser", "nobody", "--config", str(config)]) == 1
    assert "paceline: there is no advertiser nobody; known: " in capsys.readouterr().err
    bad = tmp_path / "bad.tsv"
    bad.write_text("x\n")
    assert main(["train", "affinity", "--sessions", str(bad), "--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith("paceline: say with --advertiser")
    arguments = ["--advertiser", "voltaro", "--sessions", str(bad), "--config", str(config)]
    assert main(["train", "affinity", *arguments]) == 1
    assert "the header must name" in capsys.readouterr().err
