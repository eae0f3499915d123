"""MLflow keeps runs and their artifacts in a worktree."""
import os
import pathlib
import sys

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
import mlflow

weights = bytes(range(256)) * 8000
top = pathlib.Path(os.environ["W"] if sys.argv[1] == "save" else os.environ["M"] + "/branches/main") / "mlruns"
mlflow.set_tracking_uri(top.as_uri())
if sys.argv[1] == "save":
    mlflow.set_experiment("coral")
    for step in range(2):
        with mlflow.start_run(run_name=f"run {step}"):
            mlflow.log_param("rate", 0.1)
            mlflow.log_metric("loss", 1.0 / (step + 1), step=step)
            file = pathlib.Path(os.environ["HOME"]) / f"weights-{step}.bin"
            file.write_bytes(weights + bytes([step]))
            mlflow.log_artifact(str(file))
client = mlflow.MlflowClient()
experiment = client.get_experiment_by_name("coral")
runs = client.search_runs([experiment.experiment_id])
assert sorted(run.data.metrics["loss"] for run in runs) == [0.5, 1.0]
stored = sorted(top.glob("*/*/artifacts/weights-*.bin"))
assert [file.read_bytes() for file in stored if file.name == "weights-1.bin"] == [weights + b"\1"]
assert len(stored) == 2
