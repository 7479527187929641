"""The batch of Backhaul in Airflow or Composer: a run every hour by shards, a comparison and a compaction every day.

Every command may be repeated after a failure or a kill, and goes on where it was. Its exit code says
whether that is of use (docs/cli.md):

    0            done
    3, 75, 130   another run holds the lease, a store was away, the pod was ended: try again
    1, 2, 4      a defect, a wrong command line, a wrong setting: somebody must look

Settings and credentials are those of the pods: the config map and the workload identity that are named
below. Nothing of them is in this file.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow import DAG
from airflow.exceptions import AirflowException, AirflowFailException, AirflowSkipException
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

IMAGE = "REGISTRY/backhaul:VERSION"
NAMESPACE = "backhaul"
SERVICE_ACCOUNT = "backhaul-batch"
CONFIG_MAP = "backhaul-batch"
SHARDS = 4

AGAIN = {3, 75, 130}


class BackhaulOperator(KubernetesPodOperator):
    """One command in a pod; what a repeat does not mend fails at once, without the retries left."""

    def __init__(self, *, arguments: list[str], **given) -> None:
        super().__init__(
            image=IMAGE,
            namespace=NAMESPACE,
            service_account_name=SERVICE_ACCOUNT,
            # The image's entry point takes the role first; it has no shell and no npx.
            arguments=["backhaul", *arguments],
            env_from=[k8s.V1EnvFromSource(config_map_ref=k8s.V1ConfigMapEnvSource(name=CONFIG_MAP))],
            # The most that a run takes, and beyond it what the system keeps of its files.
            container_resources=k8s.V1ResourceRequirements(
                requests={"cpu": "1", "memory": "1536Mi"}, limits={"memory": "2Gi"}
            ),
            # Time for the step that is under way to end, and for the lease to be given up.
            termination_grace_period=120,
            on_finish_action="delete_succeeded_pod",
            **given,
        )

    def cleanup(self, pod, remote_pod, *rest, **named) -> None:
        try:
            super().cleanup(pod, remote_pod, *rest, **named)
        except AirflowSkipException:
            raise
        except AirflowException as error:
            code = self._exit_code(remote_pod)
            if code is None or code in AGAIN:
                raise
            raise AirflowFailException(f"backhaul ended with {code}: {error}") from error

    def _exit_code(self, remote_pod) -> int | None:
        """None when the container did not end by itself: the node went, or it never began."""
        statuses = (remote_pod and remote_pod.status and remote_pod.status.container_statuses) or []
        for status in statuses:
            if status.name == self.base_container_name and status.state.terminated:
                code = status.state.terminated.exit_code
                # Beyond 128 a signal ended it: it was killed, or had too little memory.
                return code if code <= 128 or code in AGAIN else None
        return None


AGAIN_AND_AGAIN = {
    "retries": 6,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=15),
}

with DAG(
    dag_id="backhaul_batch",
    schedule="15 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,  # A run takes all that came since the last one: missed hours are not made up one by one.
    max_active_runs=1,
    default_args=AGAIN_AND_AGAIN,
    doc_md=__doc__,
) as batch:
    shards = BackhaulOperator.partial(task_id="shard").expand(
        arguments=[["batch", "run", "--shard", f"{index}/{SHARDS}"] for index in range(SHARDS)]
    )
    # The shards are done: it waits for nothing, and loads and computes what they have made.
    merge = BackhaulOperator(task_id="merge", arguments=["batch", "run", "--merge", "--wait", "1"])
    shards >> merge

with DAG(
    dag_id="backhaul_reconcile",
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=AGAIN_AND_AGAIN,
    doc_md="Exit code 1 is a defect, or nothing that could be compared: docs/runbooks/batch.md. The report is in the "
    "bucket, batch/reconcile/<run>-<time>.json, the newest verdict in batch/reconcile.json.",
) as reconcile:
    BackhaulOperator(task_id="reconcile", arguments=["reconcile", "--json"])

with DAG(
    dag_id="backhaul_compact",
    schedule="30 4 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=AGAIN_AND_AGAIN,
    doc_md="Joins small raw files of past days. It holds the lease of the batch: a run meanwhile ends with 3 and is tried "
    "again. --days: less than the age at which raw files go to an archive class.",
) as compact:
    BackhaulOperator(task_id="compact", arguments=["batch", "compact", "--days", "5"])
