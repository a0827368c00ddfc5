"""Weights of the released code: its answers, from reference files and from its formulas written out here."""

import json

import numpy as np
import pytest
import torch
from conftest import VECTORS
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from small_models import answer, molecules
from torch.nn.functional import layer_norm, linear, mish, silu, softplus

from lib import models
from lib.errors import DataError

VECTOR_FILES = [f"egnn{k}" for k in ("", "_no_tanh", "_plain")] + [f"schnet{k}" for k in ("", "_cutoff4", "_mean")]
VECTOR_FILES += [f"torchmdnet{k}" for k in ("", "_gauss", "_keys")]


def vectors(name: str) -> tuple[str, dict, dict, dict]:
    """Our model's name, the released configuration, its state, and the arrays of a reference file."""
    path = VECTORS / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the reference vectors {path.name} are not beside this checkout")
    with np.load(path) as file:
        saved = dict(file)
    state = {k.removeprefix("state/"): v for k, v in saved.items() if k.startswith("state/")}
    ours = {"torchmdnet": "torchmd_net"}.get(name.split("_")[0], name.split("_")[0])
    return ours, json.loads(str(saved["config"])), state, saved


@pytest.mark.filterwarnings("ignore:.*parameters dropped")
@pytest.mark.parametrize("name", VECTOR_FILES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_released_weights_give_the_released_answers(name, dtype, bound):
    ours, config, state, saved = vectors(name)
    model = models.load_released(ours, config, {k: torch.tensor(v, dtype=dtype) for k, v in state.items()})
    answered = answer(model, dtype, saved["z"], saved["pos"], saved["batch"])
    for mine, theirs in ((answered.energy, saved["energy"].ravel()), (answered.noise, saved["noise"])):
        assert np.abs(mine.detach().numpy() - theirs).max() <= bound * np.abs(theirs).max()


ACTIVATIONS = {
    "silu": silu,
    "swish": silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "mish": mish,
    "ssp": lambda x: softplus(x) - np.log(2),
}


def mlp(p, name, x, act, second=2):
    """Linear, activation, Linear: layers 0 and ``second`` of the parameters called ``name``."""
    return dense(p, f"{name}.{second}", act(dense(p, f"{name}.0", x)))


def dense(p, name, x):
    return linear(x, p[f"{name}.weight"], p.get(f"{name}.bias"))


def cosine(d, lower, upper):
    """The cutoff function of the released TorchMD-Net."""
    if lower > 0:
        bump = 0.5 * (torch.cos(np.pi * (2 * (d - lower) / (upper - lower) + 1)) + 1)
        return bump * (d < upper) * (d > lower)
    return 0.5 * (torch.cos(d * np.pi / upper) + 1) * (d < upper)


def radial(p, c, d):
    """Its radial basis at distances d (n, n)."""
    d, lower, upper = d[..., None], c["cutoff_lower"], c["cutoff_upper"]
    if c["rbf_type"] == "gauss":
        return torch.exp(p["distance_expansion.coeff"] * (d - p["distance_expansion.offset"]) ** 2)
    near = torch.exp(5 / (upper - lower) * (lower - d)) - p["distance_expansion.means"]
    return cosine(d, 0, upper) * torch.exp(-p["distance_expansion.betas"] * near**2)


def gated(p, name, x, v, act, last):
    """A gated equivariant block on x (n, F) and v (n, 3, F)."""
    length = dense(p, f"{name}.vec1_proj", v).norm(dim=1)
    x, gate = mlp(p, f"{name}.update_net", torch.cat([x, length], 1), act).chunk(2, dim=1)
    return x if last else act(x), gate[:, None] * dense(p, f"{name}.vec2_proj", v)


def torchmd_net(p, c, z, pos):
    """Energy and noise of one molecule, all pairs of atoms at once; x (n, F), v (n, 3, F), pairs (n receivers, n)."""
    act, n, heads = ACTIVATIONS[c["activation"]], len(z), c["num_heads"]
    delta, itself = pos[None] - pos[:, None], torch.eye(n, dtype=torch.bool)
    d = torch.where(itself, 0, delta.norm(dim=2))
    pair = ((d < c["cutoff_upper"]) & (d >= c["cutoff_lower"])) | itself
    unit = torch.where(itself[..., None], 0, delta / torch.where(itself, 1, d)[..., None])
    cut, e = cosine(d, c["cutoff_lower"], c["cutoff_upper"]) * pair, radial(p, c, d)
    x = p["type_embedding.weight"][z]
    if c["neighbor_embedding"]:
        weight = dense(p, "neighbor_embedding.distance_proj", e) * (cut * ~itself)[..., None]
        near = (weight * p["neighbor_embedding.embedding.weight"][z]).sum(1)
        x = dense(p, "neighbor_embedding.combine", torch.cat([x, near], 1))
    v = torch.zeros(n, 3, x.shape[1], dtype=x.dtype)
    for t in range(c["num_layers"]):
        layer = f"attention_layers.{t}"
        h = layer_norm(x, x.shape[1:], p[f"{layer}.layernorm.weight"], p[f"{layer}.layernorm.bias"])
        q, k, value = (dense(p, f"{layer}.{name}_proj", h).unflatten(1, (heads, -1)) for name in "qkv")
        product, value = q[:, None] * k[None], value.expand(n, *value.shape)
        if c["distance_influence"] in ("keys", "both"):
            product = product * act(dense(p, f"{layer}.dk_proj", e)).unflatten(2, (heads, -1))
        if c["distance_influence"] in ("values", "both"):
            value = value * act(dense(p, f"{layer}.dv_proj", e)).unflatten(2, (heads, -1))
        s, s1, s2 = (part.flatten(2) for part in value.chunk(3, dim=3))
        attention = ACTIVATIONS[c["attn_activation"]](product.sum(3)) * cut[..., None]
        y = (s.unflatten(2, (heads, -1)) * attention[..., None]).flatten(2).sum(1)
        w = ((s1[:, :, None] * v[None] + s2[:, :, None] * unit[..., None]) * pair[..., None, None]).sum(1)
        u1, u2, u3 = dense(p, f"{layer}.vec_proj", v).chunk(3, dim=2)
        o1, o2, o3 = dense(p, f"{layer}.o_proj", y).chunk(3, dim=1)
        x, v = x + (u1 * u2).sum(1) * o2 + o3, v + u3 * o1[:, None] + w
    x = layer_norm(x, x.shape[1:], p["out_norm.weight"], p["out_norm.bias"])
    energy = mlp(p, "energy_head", x.sum(0), silu)
    for k, last in enumerate((False, True)):
        x, v = gated(p, f"force_head.{k}", x, v, act, last)
    return energy, v[..., 0]


def egnn(p, c, z, pos):
    """The same of EGNN, with [h_i, h_j, d²] put together for every pair."""
    n, h, x = len(z), p["type_embedding.weight"][z], pos
    pair = ((pos[:, None] - pos[None]).norm(dim=2) < c["cutoff"]) & ~torch.eye(n, dtype=torch.bool)
    for t in range(c["n_layers"]):
        layer, delta = f"gcl_{t}", x[:, None] - x[None]
        squared = (delta**2).sum(2, keepdim=True)
        edge = torch.cat([h[:, None].expand(n, n, -1), h[None].expand(n, n, -1), squared], 2)
        m = silu(mlp(p, f"{layer}.edge_mlp", edge, silu))
        if c["attention"]:
            m = m * torch.sigmoid(dense(p, f"{layer}.att_mlp.0", m))
        m = m * pair[..., None]
        delta = delta / (squared.sqrt() + 1e-8) if c["normalize"] else delta
        weight = mlp(p, f"{layer}.coord_mlp", m, silu)
        shift = delta * (torch.tanh(weight) if c["tanh"] else weight) * pair[..., None]
        x = x + shift.sum(1) / pair.sum(1, keepdim=True).clamp(min=1)
        out = mlp(p, f"{layer}.node_mlp", torch.cat([h, m.sum(1)], 1), silu)
        h = h + out if c["residual"] else out
    return mlp(p, "energy_head", h.sum(0), silu), x - pos


def schnet(p, c, z, pos):
    """The same of SchNet, whose noise is minus the gradient of its energy."""
    pos, offset, ssp = pos.clone().requires_grad_(), p["distance_expansion.offset"], ACTIVATIONS["ssp"]
    itself = torch.eye(len(z), dtype=torch.bool)
    delta = pos[:, None] - pos[None] + itself[..., None]  # whose length has a gradient
    d = delta.norm(dim=2)
    e = torch.exp(-0.5 / (offset[1] - offset[0]) ** 2 * (d[..., None] - offset) ** 2)
    cut = (cosine(d, 0, c["cutoff"]) * (d < c["cutoff"]) * ~itself)[..., None]
    h = p["embedding.weight"][z]
    for t in range(c["num_interactions"]):
        layer = f"interactions.{t}"
        message = mlp(p, f"{layer}.mlp", e, ssp) * cut * dense(p, f"{layer}.conv.lin1", h)
        h = h + dense(p, f"{layer}.lin", ssp(dense(p, f"{layer}.conv.lin2", message.sum(1))))
    atoms = dense(p, "lin2", ssp(dense(p, "lin1", h)))
    pooled = {"add": atoms.sum(0), "sum": atoms.sum(0), "mean": atoms.mean(0), "max": atoms.amax(0)}[c["readout"]]
    (gradient,) = torch.autograd.grad(pooled, pos)
    return pooled.detach(), -gradient


TRUTH = st.booleans()
CONFIGURATIONS = {
    "egnn": st.fixed_dictionaries({
        "hidden_channels": st.sampled_from([4, 8]), "n_layers": st.integers(1, 3), "residual": TRUTH,
        "attention": TRUTH, "normalize": TRUTH, "tanh": TRUTH, "cutoff": st.sampled_from([3.0, 5.0]),
        "max_atom_type": st.just(28)}),
    "schnet": st.fixed_dictionaries({
        "hidden_channels": st.sampled_from([4, 8]), "num_filters": st.sampled_from([4, 6]),
        "num_interactions": st.integers(1, 3), "num_gaussians": st.sampled_from([2, 10]),
        "cutoff": st.sampled_from([3.0, 5.0]), "readout": st.sampled_from(["add", "sum", "mean", "max"]),
        "num_targets": st.just(1)}),
    "torchmd_net": st.fixed_dictionaries({
        "hidden_channels": st.sampled_from([4, 8]), "num_layers": st.integers(1, 3),
        "num_rbf": st.sampled_from([2, 10]), "rbf_type": st.sampled_from(["expnorm", "gauss"]),
        "trainable_rbf": TRUTH, "activation": st.sampled_from(sorted(ACTIVATIONS)),
        "attn_activation": st.sampled_from(sorted(ACTIVATIONS)), "neighbor_embedding": TRUTH,
        "num_heads": st.sampled_from([1, 2, 4]),
        "distance_influence": st.sampled_from(["keys", "values", "both", "none"]),
        "cutoff_lower": st.sampled_from([0.0, 0.7]), "cutoff_upper": st.sampled_from([3.0, 5.0]),
        "max_num_neighbors": st.just(32)}),
}  # fmt: skip
FORMULAS = {"egnn": egnn, "schnet": schnet, "torchmd_net": torchmd_net}


def released_state(name, config):
    """Random parameters under the released names: ours, but for SchNet, whose names are torch_geometric's."""
    if name == "schnet":
        from torch_geometric.nn.models import SchNet

        keys = "hidden_channels", "num_filters", "num_interactions", "num_gaussians", "cutoff"
        network = SchNet(*(config[key] for key in keys), readout=config["readout"])
    else:
        network = models.build(name, models.released.settings_of(name, config, models.entry(name).settings))
    state = {key: value.double() for key, value in network.state_dict().items()}
    for key in state:
        if not key.startswith("distance_expansion."):
            state[key] = state[key] + 0.1 * torch.randn_like(state[key])
    for key in [key for key in state if ".mlp." in key]:
        state[key.replace(".mlp.", ".conv.nn.")] = state[key]  # one network under two names
    return state


@pytest.mark.parametrize("name", list(CONFIGURATIONS))
@settings(max_examples=25, deadline=None, derandomize=True)
@given(data=st.data(), seed=st.integers(0, 1000))
def test_every_configuration_gives_the_answers_of_its_formulas(name, data, seed):
    config = data.draw(CONFIGURATIONS[name])
    torch.manual_seed(seed)
    state = released_state(name, config)
    z, pos, molecule = molecules(seed=seed)
    answered = answer(models.load_released(name, config, state), torch.float64, z, pos, molecule)
    for k in range(len(answered.energy)):
        atoms = molecule == k
        energy, noise = FORMULAS[name](state, config, torch.tensor(z[atoms]), torch.tensor(pos[atoms]))
        torch.testing.assert_close(answered.energy[k : k + 1], energy, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(answered.noise[atoms], noise, rtol=1e-9, atol=1e-9 * float(noise.abs().max() + 1))


def test_dead_parameters_are_dropped_with_a_note():
    ours, config, state, _ = vectors("torchmdnet")
    with pytest.warns(UserWarning, match="x_t_layers"):
        models.load_released(ours, config, state)


@pytest.mark.filterwarnings("ignore:.*parameters dropped")
@pytest.mark.parametrize("name", ["egnn", "schnet", "torchmdnet"])
def test_a_state_that_does_not_fit_lists_what(name):
    ours, config, state, _ = vectors(name)
    first, second = [k for k in state if k.endswith("weight") and ".mlp." not in k and ".nn." not in k][1:3]
    broken = {k: v for k, v in state.items() if k != first} | {"extra": state[first], second: state[second][:1]}
    with pytest.raises(ValueError, match=r"unknown.*extra.*missing.*misshapen"):
        models.load_released(ours, config, broken)


@pytest.mark.parametrize(
    ("name", "change", "word"),
    [
        ("egnn", {"depth": 3}, "depth"),
        ("schnet", {"readout": "median"}, "median"),
        ("schnet", {"num_targets": 2}, "num_targets"),
        ("torchmd_net", {"max_atom_type": 100}, "28"),
        ("se3_transformer", {}, "released"),
    ],
)
def test_a_configuration_that_is_not_the_released_code_s(name, change, word):
    with pytest.raises(ValueError, match=word):
        models.load_released(name, change, {})


@pytest.mark.parametrize("kind", ["npz", "safetensors", "pth"])
def test_weights_from_files(kind, tmp_path):
    ours, config, state, saved = vectors("egnn_plain")
    path = tmp_path / f"weights.{kind}"
    tensors = {k: torch.tensor(v) for k, v in state.items()}
    if kind == "npz":
        np.savez(path, **state)
    elif kind == "safetensors":
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    arrays = [saved[k] for k in ("z", "pos", "batch")]
    answered = answer(models.load_released(ours, config, path), torch.float64, *arrays)
    np.testing.assert_allclose(answered.energy.detach().numpy(), saved["energy"].ravel(), rtol=1e-6)


class Trap:
    """What a pickle may run when it is read."""

    def __reduce__(self):
        return print, ("executed",)


def test_weights_are_read_without_executing_anything(tmp_path, capsys):
    torch.save({"a": Trap()}, tmp_path / "trap.pth")
    np.savez(tmp_path / "trap.npz", a=np.array([Trap()], dtype=object))
    (tmp_path / "trap.bin").write_bytes(b"")
    for name in ("trap.pth", "trap.npz", "trap.bin"):
        with pytest.raises(DataError, match=name):
            models.load_released("egnn", {}, tmp_path / name)
    assert "executed" not in capsys.readouterr().out
