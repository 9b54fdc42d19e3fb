"""What the environment says of the cluster, and what it must not say."""

import json
import socket

import pytest

from hw2.errors import UsageError
from hw2.machines import cluster
from hw2.machines.cluster import Cluster


def tf_config(workers, index, **jobs):
    return json.dumps(
        {"cluster": {"worker": workers, **jobs}, "task": {"type": "worker", "index": index}}
    )


def test_tf_config_is_read_and_written():
    found = cluster.from_environment({"TF_CONFIG": tf_config(["a:1", "b:2"], 1)})
    assert found == Cluster(("a:1", "b:2"), 1)
    assert cluster.from_environment({"TF_CONFIG": found.tf_config}) == found
    chief = cluster.from_environment({"TF_CONFIG": tf_config(["b:2"], 0, chief=["a:1"])})
    assert chief == found


@pytest.mark.parametrize("environ", [{}, {"TF_CONFIG": ""}, {"TF_CONFIG": tf_config(["a:1"], 0)}])
def test_a_process_by_itself_is_a_cluster_of_one(environ):
    found = cluster.from_environment(environ)
    assert found == Cluster()
    assert (found.several, found.is_first) == (False, True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "it is not JSON: Expecting property name"),
        ("[]", "it must be an object with objects cluster and task, 'cluster' is not"),
        ('{"cluster": {"worker": []}}', "'task' is not"),
        (tf_config(["a:1", "b:2"], 2), r"index must be in \[0, 2\), one for each worker, got 2"),
        (tf_config(["a:1", "b:2"], -1), r"\[0, 2\), one for each worker, got -1"),
        (tf_config(["a:1", "b:2"], "0"), "got '0'"),
        (tf_config(["a:1", "b:2"], True), "got True"),
        (tf_config(["a:1", "b"], 0), "an address must be host:port, got 'b'"),
        (tf_config(["a:1", "b:99999"], 0), "got 'b:99999'"),
        (tf_config(["a:1", 5], 0), "got 5"),
        (tf_config(["a:1", "a:1"], 0), "two workers have one address"),
        (tf_config(["a:1", "b:2"], 0, ps=["c:3"]), "jobs must be worker, or chief and worker"),
        (tf_config("a:1", 0), "addresses must be in a list"),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:2"]}, '
            '"task": {"type": "chief", "index": 1}}',
            "the chief's index must be in",
        ),
        ('{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "ps"}}', "got 'ps'"),
    ],
)
@pytest.mark.fault(64)
def test_a_bad_tf_config_is_refused_with_an_example(text, words):
    with pytest.raises(UsageError, match=f"bad value in TF_CONFIG - .*{words}.*; write for"):
        cluster.from_environment({"TF_CONFIG": text})


def slurm(**changes):
    return {
        "SLURM_PROCID": "3",
        "SLURM_STEP_NUM_TASKS": "5",
        "SLURM_STEP_NODELIST": "gpu[08-09,12],login-a",
        "SLURM_STEP_TASKS_PER_NODE": "1(x2),2,1",
    } | changes


def test_slurm_variables_are_spelled_out():
    assert cluster.from_environment(slurm()) == Cluster(
        ("gpu08:8470", "gpu09:8470", "gpu12:8470", "gpu12:8471", "login-a:8470"), 3
    )
    assert cluster.from_environment(slurm(SLURM_STEP_NUM_TASKS="1")) == Cluster()
    hosts = {"SLURM_STEP_NODELIST": "r[1-2]n[01-02]", "SLURM_STEP_TASKS_PER_NODE": "1(x4)"}
    found = cluster.from_environment(slurm(**hosts))
    assert [worker[:5] for worker in found.workers] == ["r1n01", "r1n02", "r2n01", "r2n02"]


@pytest.mark.parametrize(
    "changes",
    [
        {"SLURM_PROCID": "9"},
        {"SLURM_STEP_NUM_TASKS": "five"},
        {"SLURM_STEP_TASKS_PER_NODE": "4"},
        {"SLURM_STEP_TASKS_PER_NODE": "many"},
        {"SLURM_STEP_NODELIST": "a[1-x],b,c,d"},
    ],
)
def test_slurm_variables_that_contradict_each_other_are_refused(changes):
    with pytest.raises(UsageError, match=r"bad value in the variables of Slurm - .*; start with"):
        cluster.from_environment(slurm(**changes))


@pytest.mark.fault(64)
def test_a_port_in_use_is_refused():
    with socket.socket() as other:
        other.bind(("", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"cannot serve on a:{port} - address already in use"):
            cluster.check_port(Cluster((f"a:{port}", "b:2"), 0))
    cluster.check_port(Cluster((f"a:{port}", "b:2"), 0))
