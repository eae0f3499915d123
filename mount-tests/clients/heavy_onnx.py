"""onnx saves a model in one file and with its weights beside it; onnxruntime runs both."""
import os
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

random = np.random.default_rng(2)
weight = random.normal(size=(256, 512)).astype(np.float32)
given = random.normal(size=(3, 256)).astype(np.float32)


def model():
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "one layer",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 256])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 512])],
        [numpy_helper.from_array(weight, "w")],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    made.ir_version = 9
    return made


if sys.argv[1] == "save":
    out = os.environ["W"] + "/onnx"
    os.makedirs(out)
    onnx.save(model(), out + "/model.onnx")
    onnx.save(
        model(),
        out + "/apart.onnx",
        save_as_external_data=True,
        all_tensors_to_one_file=True,
        location="apart.onnx.data",
        size_threshold=0,
    )
    source = out
else:
    source = os.environ["M"] + "/branches/main/onnx"
for name in ["model.onnx", "apart.onnx"]:
    loaded = onnx.load(source + "/" + name)
    onnx.checker.check_model(source + "/" + name)
    assert np.array_equal(numpy_helper.to_array(loaded.graph.initializer[0]), weight), name
    session = onnxruntime.InferenceSession(source + "/" + name, providers=["CPUExecutionProvider"])
    assert np.allclose(session.run(None, {"x": given})[0], given @ weight, atol=1e-3), name
