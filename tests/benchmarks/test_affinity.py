"""The next product is foreseen as often as is promised, by the code that serves, on real sessions."""

from pathlib import Path

import pytest

from benchmarks import affinity
from bidder.learning.sessions import sessions_of_file


@pytest.mark.corpus
def test_the_whole_session_foresees_the_next_item(shared: Path, tmp_path: Path) -> None:
    """HR@20 >= 0.47 and MRR@20 >= 0.19 over all 10,152 predictions, far above the last item alone and popularity."""
    data = shared / "data" / "rsc15_100k"
    if not data.is_dir():
        pytest.skip("../shared/data/rsc15_100k is absent: there are no sessions to predict")
    training = data / "train_full.txt.gz"
    catalogue = affinity.build(
        sessions_of_file(training, affinity.SHOP), affinity.products_of(training), tmp_path
    )
    sessions = sessions_of_file(data / "test.txt", affinity.SHOP)
    popular, last, whole = (
        affinity.measure(name, way, catalogue, sessions) for name, way in affinity.ways(catalogue).items()
    )
    assert whole.predictions == 10_152
    assert whole.hr >= affinity.WANTED_HR
    assert whole.mrr >= affinity.WANTED_MRR
    assert whole.hr > 1.15 * last.hr > 4 * popular.hr


def test_without_the_data_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No figures are printed of nothing."""
    assert affinity.main(["--data", str(tmp_path / "rsc15_100k")]) == 1
    assert "rsc15_100k is absent" in capsys.readouterr().err


def test_a_perfect_and_a_blind_prediction_measure_as_they_should(tmp_path: Path) -> None:
    """Rank 2 each time is HR 1 and MRR 1/2; nothing foreseen is 0."""
    sessions = [[1, 2], [1, 2, 1]]
    catalogue = affinity.build([], ["a", "b"], tmp_path)
    keys = catalogue.keys.tolist()
    named = [[keys[item - 1] for item in session] for session in sessions]
    right = affinity.measure("right", lambda recent: [recent[0], 1 - recent[0]], catalogue, named)
    blind = affinity.measure("blind", lambda _: [], catalogue, named)
    assert (right.predictions, right.hr, right.mrr) == (3, 1.0, 0.5)
    assert (blind.hr, blind.mrr) == (0.0, 0.0)
