"""Genuine ROOT must read what the simulation writes, and the suite what genuine ROOT writes."""

from pathlib import Path

import numpy as np
import pytest
import uproot

from lib.data.trees.schema import BranchPlan, check_files
from lib.data.trees.source import iterate_raw
from lib.simulation.presets import build_config
from lib.simulation.writer import COMPRESSIONS, CompressionName, FileTask, write_file

pytestmark = pytest.mark.root
ROOT = pytest.importorskip("ROOT", reason="genuine ROOT is not installed (pip install ROOT)")

NUM_EVENTS = 20

WRITE_TREE = """
void write_tree(const char* path, int algorithm, const float* npho, int events, bool as_vector) {
  TFile file(path, "RECREATE", "", 100 * algorithm + 4);
  TTree tree("tree", "tree");
  static float values[4760];
  std::vector<float> list;
  if (as_vector) tree.Branch("npho", &list); else tree.Branch("npho", values, "npho[4760]/F");
  for (int event = 0; event < events; event++) {
    std::copy(npho + event * 4760, npho + (event + 1) * 4760, values);
    list.assign(values, values + 4760);
    tree.Fill();
  }
  tree.Write();
}
void write_ntuple(const char* path, const float* npho, int events) {
  auto model = ROOT::RNTupleModel::Create();
  auto values = model->MakeField<std::array<float, 4760>>("npho");
  auto writer = ROOT::RNTupleWriter::Recreate(std::move(model), "tree", path);
  for (int event = 0; event < events; event++) {
    std::copy(npho + event * 4760, npho + (event + 1) * 4760, values->begin());
    writer->Fill();
  }
}
"""
ALGORITHMS = {"ZLIB": 1, "LZMA": 2, "LZ4": 4, "ZSTD": 5}


def read_by_the_suite(path: Path) -> np.ndarray:
    """The photon counts as a training gets them; the same branch stands in for the times."""
    plan = BranchPlan("tree", "npho", "npho")
    chunks = list(iterate_raw(check_files([path], plan), plan, chunk=7))
    np.testing.assert_array_equal([chunk.time for chunk in chunks[:1]], [chunk.npho for chunk in chunks[:1]])
    return np.concatenate([chunk.npho for chunk in chunks])


@pytest.fixture(scope="module")
def interpreter() -> None:
    ROOT.gInterpreter.Declare("#include <array>\n#include <vector>\n#include <ROOT/RNTupleModel.hxx>")
    ROOT.gInterpreter.Declare("#include <ROOT/RNTupleWriter.hxx>\n#include <TFile.h>\n#include <TTree.h>" + WRITE_TREE)


@pytest.fixture(scope="module")
def npho() -> np.ndarray:
    return np.random.default_rng(1).exponential(100, (NUM_EVENTS, 4760)).astype(np.float32)


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_genuine_root_reads_every_value_of_a_simulated_file(tmp_path: Path, compression: CompressionName) -> None:
    path = tmp_path / "simulated.root"
    list(write_file(FileTask(path, build_config(), 1, 1, 0, NUM_EVENTS, compression)))
    expected = uproot.open(path)["tree"].arrays(library="np")
    columns = ROOT.RDataFrame("tree", str(path)).AsNumpy(["npho", "time", "energyTruth", "event", "uvwTruth"])
    for name, values in columns.items():
        found = np.stack([np.asarray(value) for value in values])
        np.testing.assert_array_equal(found, expected[name], err_msg=name)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("as_vector", [False, True])
@pytest.mark.usefixtures("interpreter")
def test_a_tree_of_genuine_root_is_read_value_by_value(
    tmp_path: Path, npho: np.ndarray, algorithm: str, as_vector: bool
) -> None:
    path = tmp_path / "genuine.root"
    ROOT.write_tree(str(path), ALGORITHMS[algorithm], npho, NUM_EVENTS, as_vector)
    np.testing.assert_array_equal(read_by_the_suite(path), npho)


@pytest.mark.usefixtures("interpreter")
def test_an_ntuple_of_genuine_root_is_read_value_by_value(tmp_path: Path, npho: np.ndarray) -> None:
    path = tmp_path / "ntuple.root"
    ROOT.write_ntuple(str(path), npho, NUM_EVENTS)
    np.testing.assert_array_equal(read_by_the_suite(path), npho)
