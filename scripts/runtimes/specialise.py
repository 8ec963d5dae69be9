"""A module for pictures of one size: what it asks about its tensors (sizes, types) becomes constants, and all that follows
from them, so that converters which know no sizes at run time see plain layers."""
import torch
from torch import Tensor

QUESTIONS = {"aten::size", "aten::len", "aten::dim", "prim::device", "prim::dtype"}


def answers(graph: torch.Graph, images: list[Tensor]) -> list[object]:
    """What the questions of a graph yield on these images, in order."""
    probe = graph.copy()
    asked = [node.output() for node in probe.nodes() if node.kind() in QUESTIONS]
    result = probe.create("prim::TupleConstruct", asked, 1)
    result.output().setType(torch.TupleType([value.type() for value in asked]))
    probe.appendNode(result)
    for _ in list(probe.outputs()):
        probe.eraseOutput(0)
    probe.registerOutput(result.output())
    with torch.no_grad():
        return list(torch._C._create_function_from_graph("probe", probe)(*images))


def specialise(module: torch.jit.ScriptModule, images: list[Tensor]) -> torch.jit.ScriptFunction:
    """The same function of images of these very sizes; weights are constants in it."""
    graph = torch.jit.freeze(module).graph.copy()
    graph.eraseInput(0)  # self, which nothing reads in a frozen module
    questions = [node for node in graph.nodes() if node.kind() in QUESTIONS]
    for node, answer in zip(questions, answers(graph, images) if questions else []):
        with graph.insert_point_guard(node):
            node.output().replaceAllUsesWith(graph.insertConstant(answer))
    torch._C._jit_pass_constant_propagation(graph)
    torch._C._jit_pass_dce(graph)
    return torch._C._create_function_from_graph("forward", graph)
