"""The bridge to torch_geometric: the same graphs both ways, and a model of theirs trained by their loop."""

import numpy as np
import pytest
import torch
from conftest import make_molecule
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.nn.models import SchNet

from lib.batches import Batch
from lib.data.datasets import find, open_store
from lib.data.pyg import StoreDataset
from lib.data.store import ConformationStore


@pytest.fixture
def with_forces(tmp_path):
    water, methane = (
        make_molecule("water", [8, 1, 1], 6, 0, True),
        make_molecule("methane", [6, 1, 1, 1, 1], 4, 1, True),
    )
    return ConformationStore.write([water, methane], tmp_path / "store")


def test_a_batch_survives_the_way_to_pyg_and_back(with_forces):
    graphs = [StoreDataset(with_forces)[k] for k in (0, 7, 3)]
    batch = Batch.from_pyg(graphs)
    assert batch.n_molecules == 3
    again = Batch.from_pyg(batch.to_pyg())
    for name in ("z", "pos", "molecule", "pairs", "energy", "forces"):
        torch.testing.assert_close(getattr(again, name), getattr(batch, name))


def test_edges_are_our_pairs_in_their_convention(with_forces):
    (graph,) = Batch.from_pyg([StoreDataset(with_forces)[7]], cutoff=2.0).to_pyg()
    sender, receiver = graph.edge_index
    near = torch.cdist(graph.pos, graph.pos) < 2.0
    expected = {(i, j) for i, j in near.nonzero().tolist() if i != j}
    assert set(zip(sender.tolist(), receiver.tolist(), strict=True)) == expected
    assert not graph.is_directed()


def test_charges_make_atom_types_and_strangers_are_named():
    ion = Data(z=torch.tensor([8, 1]), pos=torch.tensor([[0.0, 0, 0], [0.97, 0, 0]]), charges=torch.tensor([-1, 0]))
    neutral = Data(z=ion.z, pos=ion.pos)
    assert Batch.from_pyg([ion]).z.tolist() != Batch.from_pyg([neutral]).z.tolist()
    assert [graph.charges.tolist() for graph in Batch.from_pyg([ion, neutral]).to_pyg()] == [[-1, 0], [0, 0]]
    with pytest.raises(ValueError, match=r"atomic number 2 \(He\)"):
        Batch.from_pyg([Data(z=torch.tensor([2]), pos=torch.zeros(1, 3))])
    with pytest.raises(ValueError, match=r"graphs = \[\]"):
        Batch.from_pyg([])
    with pytest.raises(ValueError, match=r"1 of 2 graphs have y"):
        Batch.from_pyg([Data(z=ion.z, pos=ion.pos, y=torch.ones(1)), neutral])


@pytest.mark.parametrize("y", [torch.tensor([[-1.5]]), torch.tensor([-1.5]), torch.tensor(-1.5), -1.5])
def test_energies_of_any_shape_are_one_a_molecule(y):
    hydrogen = Data(z=torch.tensor([1, 1]), pos=torch.tensor([[0.0, 0, 0], [0, 0, 0.74]]), y=y)
    energy = Batch.from_pyg([hydrogen, hydrogen, hydrogen]).energy
    assert energy.dtype == torch.float64 and energy.tolist() == [-1.5, -1.5, -1.5]
    with pytest.raises(ValueError, match=r"energy has shape \(36,\), not \(3,\)"):
        Batch.from_pyg([Data(z=hydrogen.z, pos=hydrogen.pos, y=torch.zeros(1, 12))] * 3)


def test_a_graph_is_the_stores_conformation(with_forces):
    graph = StoreDataset(with_forces, [8])[0]
    index = np.array([8])
    assert graph.name == "methane"
    assert graph.z.tolist() == [6, 1, 1, 1, 1]
    np.testing.assert_array_equal(graph.pos, with_forces.gather(index).positions)
    np.testing.assert_array_equal(graph.force, with_forces.gather_forces(index))
    np.testing.assert_allclose(graph.y, with_forces.relative_energy(index), rtol=1e-6)
    with pytest.raises(ValueError, match=r"conformation 10: .* has 0 to 9"):
        StoreDataset(with_forces, [3, 10])


def test_their_schnet_learns_from_our_store_by_their_loop():
    """What docs/pyg.md shows."""
    torch.manual_seed(0)
    store = open_store(find("mini/ani1x"))
    loader = DataLoader(StoreDataset(store, range(0, 1600, 10)), batch_size=16, shuffle=True)
    targets = torch.cat([batch.y for batch in loader])
    model = SchNet(
        hidden_channels=16,
        num_filters=16,
        num_interactions=1,
        num_gaussians=16,
        cutoff=5.0,
        interaction_graph=pairs_within_molecules,
    )
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=1e-2), []
    for _ in range(8):
        for batch in loader:
            loss = ((model(batch.z, batch.pos, batch.batch).squeeze(1) - batch.y) / targets.std()).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


def pairs_within_molecules(pos, molecule):
    """Our neighbour pairs for PyG's SchNet, whose own search needs torch-cluster."""
    from lib.batches import neighbour_pairs

    receiver, sender = neighbour_pairs(pos, molecule, int(molecule[-1]) + 1, 5.0)
    return torch.stack([sender, receiver]), (pos[receiver] - pos[sender]).norm(dim=1)
