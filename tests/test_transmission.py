"""What comes through thick things, pixel by pixel, against the sum over all energies."""

from __future__ import annotations

import ast
import inspect

import numpy as np
import pytest

from sim import beam, few_energies
from sim.spectra import table

CSI = beam.KEV * (1.0 - np.exp(-0.5 * beam.mu_per_mm("csi")))  # a scintillator, about
RESPONSES = {"kerma": None, "csi": CSI}
KILOVOLTS = (25.0, 40.0, 69.3, 80.0, 120.0, 133.0, 150.0)
MIXTURES = (
    ("water",),
    ("lead",),
    ("tungsten",),
    ("copper",),
    ("aluminium", "copper"),
    ("pmma", "tungsten"),
    ("bone", "lead", "water"),
    ("aluminium", "bone", "copper", "lead", "pmma", "tungsten", "water"),
)


def whole_sum(
    kv: float, maps: dict[str, np.ndarray], response: np.ndarray | None, **filters: float
) -> np.ndarray:
    """(pixels,) of the signal, each of the 298 energies by itself."""
    per_photon = beam.KEV * table().air_muen_cm2_g if response is None else response
    signal = beam.spectrum(kv, **filters).fluence_per_mm2 * per_photon
    depth = sum(np.outer(each, beam.mu_per_mm(name)) for name, each in maps.items())
    through: np.ndarray = np.exp(-depth) @ signal / signal.sum()
    return through


def pixels(names: tuple[str, ...], kv: float, count: int = 1000) -> dict[str, np.ndarray]:
    """Random mixtures, from next to nothing to fifty mean free paths, and one pixel free."""
    dice = np.random.default_rng(7)
    shares = dice.dirichlet(np.full(len(names), 0.5), count) * 10 ** dice.uniform(
        -2, 1.7, (count, 1)
    )
    shares[0] = 0.0
    fluence = beam.spectrum(kv).fluence_per_mm2
    mean = {name: fluence @ beam.mu_per_mm(name) / fluence.sum() for name in names}
    return {
        name: (shares[:, index] / mean[name]).astype(np.float32) for index, name in enumerate(names)
    }


@pytest.mark.parametrize("response", RESPONSES)
@pytest.mark.parametrize("names", MIXTURES, ids="+".join)
@pytest.mark.parametrize("kv", KILOVOLTS)
def test_few_energies_are_all_of_them_within_half_a_per_cent_down_to_a_thousandth(
    kv: float, names: tuple[str, ...], response: str
) -> None:
    maps = pixels(names, kv)
    found = beam.transmission(kv, maps, response=RESPONSES[response])
    wanted = whole_sum(kv, maps, RESPONSES[response])
    seen = wanted >= 1e-3
    assert seen.sum() > 100
    assert abs(found[seen] / wanted[seen] - 1.0).max() < 0.005
    assert (abs(found - wanted)[~seen] < 0.02 * 1e-3).all()  # and in the dark by less still


def test_every_energy_is_the_sum_itself() -> None:
    names = ("bone", "lead", "water")
    maps = pixels(names, 120.0)
    found = beam.transmission(120.0, maps, response=CSI, every_energy=True)
    assert found == pytest.approx(whole_sum(120.0, maps, CSI), rel=2e-5, abs=1e-12)
    assert (found != beam.transmission(120.0, maps, response=CSI)).any()


def test_filters_of_the_beam_count() -> None:
    maps = pixels(("water",), 80.0)
    wanted = whole_sum(80.0, maps, None, aluminium_mm=10.0, copper_mm=0.5)
    found = beam.transmission(80.0, maps, aluminium_mm=10.0, copper_mm=0.5)
    seen = wanted >= 1e-3
    assert abs(found[seen] / wanted[seen] - 1.0).max() < 0.005
    assert (found[1:] > beam.transmission(80.0, maps)[1:]).all()  # a harder beam


def test_where_nothing_lies_everything_comes_through() -> None:
    free = {"water": np.zeros((3, 4), np.float32), "lead": np.zeros((3, 4), np.float32)}
    assert (beam.transmission(80.0, free) == np.float32(1.0)).all()
    free["water"][1, 2] = 50.0
    some = beam.transmission(80.0, free)
    assert some[0, 0] == pytest.approx(1.0, abs=1e-6)
    assert some[1, 2] < 0.4


def test_a_map_of_nothing_changes_nothing() -> None:
    water = {"water": np.full((2, 3), 20.0, np.float32)}
    beside = {**water, "tungsten": np.zeros((2, 3), np.float32)}
    assert np.array_equal(beam.transmission(80.0, water), beam.transmission(80.0, beside))


def test_what_lies_behind_another_is_met_by_a_harder_beam() -> None:
    maps = {"water": np.full((2, 3), 20.0, np.float32), "bone": np.full((2, 3), 5.0, np.float32)}
    alone = [beam.transmission(80, {name: one})[0, 0] for name, one in maps.items()]
    both = beam.transmission(80, maps)
    assert both.shape == (2, 3)
    assert both.dtype == np.float32
    assert 1.02 < both[1, 2] / (alone[0] * alone[1]) < 1.2


def test_the_second_half_of_an_absorber_takes_less_than_the_first() -> None:
    half, whole = (
        beam.transmission(80.0, {"aluminium": np.full(1, mm, np.float32)})[0] for mm in (10.0, 20.0)
    )
    assert whole > 1.15 * half * half


def test_two_millimetres_of_lead_are_dark() -> None:
    shutter = {"lead": np.full((1, 1), 2.0, np.float32)}
    assert beam.transmission(60.0, shutter)[0, 0] < 1e-6
    assert beam.transmission(120.0, shutter)[0, 0] < 1e-3


def test_a_frame_does_not_depend_on_the_size_of_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(1)
    maps = {
        "water": dice.random((37, 41), np.float32) * 200,
        "bone": dice.random((37, 41), np.float32),
    }
    once = beam.transmission(80.0, maps)
    monkeypatch.setattr("sim.beam._CHUNK_COUNT", 100)
    assert np.array_equal(once, beam.transmission(80.0, maps))


def test_maps_may_be_views_of_others() -> None:
    water = np.random.default_rng(1).random((40, 60)).astype(np.float32) * 100
    whole = beam.transmission(80.0, {"water": water})
    assert np.array_equal(beam.transmission(80.0, {"water": water[5:20, 7:30]}), whole[5:20, 7:30])
    assert np.array_equal(beam.transmission(80.0, {"water": water.T}), whole.T)


def test_what_can_not_be_asked_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one material"):
        beam.transmission(80, {})
    with pytest.raises(ValueError, match="unknown material 'cheese'"):
        beam.transmission(80, {"cheese": np.ones((1, 1), np.float32)})
    maps = {"water": np.ones((2, 2), np.float32), "bone": np.ones((2, 3), np.float32)}
    with pytest.raises(ValueError, match=r"maps of one size.*bone \(2, 3\).*water \(2, 2\)"):
        beam.transmission(80, maps)
    with pytest.raises(ValueError, match="nothing comes through at 0 kV"):
        beam.transmission(0.0, {"water": np.ones((1, 1), np.float32)})
    with pytest.raises(ValueError, match="a value for each of the 298 energies of KEV"):
        beam.transmission(80, {"water": np.ones((1, 1), np.float32)}, response=np.ones(3))


def test_the_few_energies_are_few_and_weigh_one() -> None:
    weights = beam.spectrum(80.0).fluence_per_mm2
    for names in MIXTURES:
        mu = np.array([beam.mu_per_mm(name) for name in names])
        bins, found = few_energies.few_energies(weights, mu)
        assert len(bins) == len(set(bins)) == len(found) <= 15
        assert found.sum() == pytest.approx(1.0)
        assert (found > 0.0).all()
        assert (weights[bins] > 0.0).all()


def test_one_energy_stays_one() -> None:
    weights = np.zeros(298)
    weights[100] = 5.0
    bins, found = few_energies.few_energies(weights, beam.mu_per_mm("water")[None, :])
    assert (list(bins), list(found)) == ([100], [pytest.approx(1.0)])


def test_last_digits_of_the_spectrum_move_no_energy_and_no_weight() -> None:
    """Another machine's exponential may differ in them: no pixel may."""
    dice = np.random.default_rng(3)
    for kv in (40.0, 80.0, 133.0):
        for response in (CSI, beam.KEV * CSI):
            weights = beam.spectrum(kv).fluence_per_mm2 * response
            for names in MIXTURES:
                mu = np.array([beam.mu_per_mm(name) for name in names])
                bins, found = few_energies.few_energies(weights, mu)
                nearby = weights * (1.0 + 4e-16 * dice.integers(-2, 3, len(weights)))
                again, weigh = few_energies.few_energies(nearby, mu)
                assert list(bins) == list(again)
                assert found == pytest.approx(weigh, rel=1e-7, abs=0.0)


def test_the_choice_of_energies_asks_no_blas_and_no_lapack() -> None:
    """Their sums are in another order on another machine."""
    parts = list(ast.walk(ast.parse(inspect.getsource(few_energies))))
    assert not [one for one in parts if isinstance(one, ast.MatMult)]
    names = {one.attr for one in parts if isinstance(one, ast.Attribute)}
    assert not names & {"linalg", "dot", "vdot", "inner", "matmul", "einsum", "tensordot"}


def test_the_weights_are_the_best_ones() -> None:
    """Of columns as alike as behind a millimetre more or less of water."""
    depth = np.linspace(0.0, 5.0, 60)
    columns = np.exp(-np.outer(depth, [0.1, 0.11, 0.3, 1.0, 2.0]))
    found = few_energies._least_squares(columns)
    rest = 1.0 - columns @ found
    assert abs(columns.T @ rest).max() < 1e-11
    assert found == pytest.approx(np.linalg.lstsq(columns, np.ones(60), rcond=None)[0], rel=1e-6)
