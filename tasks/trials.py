"""One trial of a stage as a Prefect task: it works where a Ray cluster puts it.

Ray says who has which GPU of the cluster, so a trial does not wait for the lock that trainings of
one machine share. A run outside Ray on a node's GPU is not seen.
"""

from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE

from tasks.core.preflight.trials import carry_out_trials
from tasks.core.processes.host import host_name
from tasks.core.serving.servers import free_card
from tasks.core.training.spec import TrainingSpec


@task(cache_policy=NO_CACHE, persist_result=False, task_run_name="rank {trial[rank]}")
def carry_out_trial(spec: TrainingSpec, trial: dict[str, Any], release: str) -> dict[str, Any]:
    """Returns the result of a trial (trials.Trial as a dict), and on which node it was run.

    release: whose models are unloaded from the node's model server first. Raises the trial's error.
    """
    free_card(release)
    results: list[dict[str, Any]] = []
    carry_out_trials(spec, [trial], results.append)
    (result,) = results
    return {**result, "node": host_name()}
