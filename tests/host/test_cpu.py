"""How busy the CPUs are, by the host method `cpuinfo`."""

import time
from types import SimpleNamespace

import psutil
import pytest
from host_machine import ask, child

from gjrpc.host import cpu, methods


@pytest.fixture(autouse=True)
def _first_call(monkeypatch):
    monkeypatch.setattr(cpu, "_samples", type(cpu._samples)(maxlen=1))


@pytest.fixture
def waits(monkeypatch):
    """The seconds of each wait so far."""
    waited, sleep = [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (waited.append(seconds), sleep(seconds)))
    return waited


def test_first_call(waits):
    """The first call already reports a busy CPU, after one short wait."""
    with child(code="print('ready', flush=True)\nwhile True: pass"):
        output, error = ask("cpuinfo")
    assert waits == [cpu._SAMPLE_SECONDS]
    assert error == ""
    assert output["no_of_cpu"] == psutil.cpu_count() == len(output["percent_per_cpu"])
    assert max(output["percent_per_cpu"]) >= 30
    assert output["cpu_percent"] >= 30 / output["no_of_cpu"] * 0.8
    assert tuple(output["cputimes"]) == methods._CPU
    assert abs(output["cputimes"]["user"] - psutil.cpu_times().user) < 30


def test_soon_after(waits, monkeypatch):
    """A call within a second returns the same figures and does not wait."""
    monkeypatch.setattr(cpu, "_FRESH_SECONDS", 60.0)  # a busy machine may take more than a second
    first, _ = ask("cpuinfo")
    second, _ = ask("cpuinfo")
    assert len(waits) == 1
    assert first == second


def test_later(waits, monkeypatch):
    """A few seconds later the rate since the previous sample is returned at once."""
    monkeypatch.setattr(cpu, "_STALE_SECONDS", 60.0)
    ask("cpuinfo")
    sample = cpu._samples[0]
    cpu._samples.append(sample._replace(at=sample.at - 3))
    ask("cpuinfo")
    assert len(waits) == 1
    assert cpu._samples[0].at > sample.at


def test_much_later(waits):
    """A sample of an hour ago is not averaged into the current rate."""
    ask("cpuinfo")
    sample = cpu._samples[0]
    nothing = [times._make([0.0] * len(times)) for times in sample.times]
    cpu._samples.append(sample._replace(at=sample.at - 3600, times=nothing))
    ask("cpuinfo")
    assert waits == [cpu._SAMPLE_SECONDS] * 2


def test_no_ticks(monkeypatch):
    """If the kernel's CPU times do not advance, the rates are null and the error says so."""
    times = psutil.cpu_times()
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu=False: [times] if percpu else times)
    output, error = ask("cpuinfo")
    assert (output["cpu_percent"], output["percent_per_cpu"]) == (None, [None])
    assert "do not advance" in error


def test_guests_count_once():
    """The time of virtual guests, which Linux also counts as user time, counts once."""
    fields = ("user", "system", "idle", "iowait", "guest", "guest_nice")
    before = SimpleNamespace(_fields=fields, **dict.fromkeys(fields, 0.0))
    now = SimpleNamespace(_fields=fields, user=50.0, system=0.0, idle=40.0, iowait=10.0, guest=50.0, guest_nice=0.0)
    assert cpu._busy(before, now) == 50.0
