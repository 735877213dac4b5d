#!/usr/bin/env python3
"""The reference simulator: what `weir sim CONFIG SCRIPT` must print, byte for byte.

Written from the promised behaviour alone, as plainly as possible: exact rationals, whole
nanoseconds, logs instead of counters where that is simpler. It shares nothing with the library,
so an agreement of the two means something.

    reference.py CONFIG SCRIPT             print the CSV
    reference.py --check [NAME...]         run the cases beside this file, compare with NAME.csv
                                           and with the `# ->` remarks in NAME.sim
    reference.py --update [NAME...]        write NAME.csv (refused where a remark disagrees)
    reference.py --random SEED             print a random configuration and script
    reference.py --random-many FIRST COUNT FOLDER
                                           write FOLDER/SEED.{yaml,sim,csv} for COUNT seeds

A remark at the end of a script line says, by hand, which rows that line gives rise to, in order:
    0ms pay call ok x2   # -> admitted in_flight=1; admitted; settled ok x2
Words are verdict and reason, `column=value` any other column, `xN` repeats, `nothing` is no row.
"""
import heapq
import os
import random
import re
import sys
from collections import deque
from fractions import Fraction

COLUMNS = ("time_ms,dependency,event,id,verdict,reason,retry_after_ms,breaker,calls,failures,slow,"
           "failure_rate,slow_rate,in_flight,queued,tokens").split(",")
UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
OUTCOMES = {"ok": "ok", "fail": "failed", "timeout": "timed_out", "ignore": "ignored",
            "cancel": "cancelled", "crash": "crashed"}
BAD = ("failed", "timed_out", "crashed")
NEUTRAL = ("ignored", "cancelled")
OVERRIDES = {"open": "forced-open", "closed": "forced-closed", "observe": "observe", "auto": None}


class Problem(Exception):
    """Configuration or script that is not valid."""


# ---------------------------------------------------------------- literals

def duration(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)", text)
    if not match:
        raise Problem(f"not a duration with a unit: {text}")
    value = Fraction(match[1]) * UNITS[match[2]]
    if value.denominator != 1:
        raise Problem(f"not a whole number of nanoseconds: {text}")
    return int(value)


def percent(text):
    match = re.fullmatch(r"(\d+(?:\.\d+)?)%", text)
    if not match or Fraction(match[1]) > 100:
        raise Problem(f"not a percentage: {text}")
    return Fraction(match[1])


def rate(text):
    match = re.fullmatch(r"(\d+)/(s|m|h)", text)
    if not match:
        raise Problem(f"not a rate: {text}")
    return int(match[1]), UNITS[match[2]]


def whole(text):
    if not re.fullmatch(r"\d+", text):
        raise Problem(f"not a whole number: {text}")
    return int(text)


def number(text):
    if not re.fullmatch(r"\d+(\.\d+)?", text):
        raise Problem(f"not a number: {text}")
    return Fraction(text)


def one_of(*names):
    def read(text):
        if text not in names:
            raise Problem(f"{text} is none of {', '.join(names)}")
        return text
    return read


PROPERTIES = {
    "isolation": (one_of("inline"), "inline"),
    "mode": (one_of("on", "observe", "off"), "on"),
    "max_concurrent": (whole, "1024"),
    "max_wait": (duration, "0ms"),
    "timeout": (duration, "1s"),
    "breaker.window.kind": (one_of("time", "count"), "time"),
    "breaker.window.span": (duration, "10s"),
    "breaker.window.buckets": (whole, "10"),
    "breaker.window.size": (whole, "100"),
    "breaker.minimum_calls": (whole, "20"),
    "breaker.failure_rate": (percent, "50%"),
    "breaker.slow_call": (duration, "200ms"),
    "breaker.slow_rate": (percent, "100%"),
    "breaker.consecutive_failures": (whole, "0"),
    "breaker.open_for": (duration, "5s"),
    "breaker.open_backoff": (number, "1.0"),
    "breaker.open_for_max": (duration, "60s"),
    "breaker.open_jitter": (percent, "0%"),
    "breaker.trial_calls": (whole, "1"),
    "breaker.trial_successes": (whole, "1"),
    "breaker.trial_lease": (duration, "10s"),
    "breaker.recovery_ramp": (duration, "0ms"),
    "rate_limit.rate": (rate, "100/s"),
    "rate_limit.burst": (whole, "100"),
    "rate_limit.mode": (one_of("bucket", "pacing", "window"), "bucket"),
    "rate_limit.max_wait": (duration, "0ms"),
}
BLOCKS = ("breaker", "breaker.window", "rate_limit")


class Settings:
    """The settings of one dependency; a block is on as soon as one key of it is given."""

    def __init__(self):
        self.values = {key: read(text) for key, (read, text) in PROPERTIES.items()}
        self.on = {"breaker": False, "rate_limit": False}

    def copy(self):
        other = Settings()
        other.values, other.on = dict(self.values), dict(self.on)
        return other

    def __getitem__(self, key):
        return self.values[key]

    def put(self, key, text):
        if key in BLOCKS:
            block = key.split(".")[0]
            if text == {}:
                self.on[block] = True
            elif text == "off" and key == block:
                self.on[block] = False
            else:
                raise Problem(f"{key} is a block of settings")
            return
        if key not in PROPERTIES:
            raise Problem(f"unknown key {key}")
        if not isinstance(text, str):
            raise Problem(f"{key} is not a block")
        self.values[key] = PROPERTIES[key][0](text)
        if "." in key:
            self.on[key.split(".")[0]] = True

    def check(self):
        if self["breaker.window.buckets"] == 0 or self["breaker.window.size"] == 0:
            raise Problem("an empty window")
        if self["breaker.window.span"] == 0 or self["breaker.window.span"] % self["breaker.window.buckets"]:
            raise Problem("span is not a multiple of buckets")
        if not 1 <= self["breaker.trial_successes"] <= self["breaker.trial_calls"]:
            raise Problem("trial_successes is not in 1 .. trial_calls")
        if self["breaker.open_backoff"] < 1:
            raise Problem("open_backoff is below 1")
        if self["breaker.open_jitter"] or self["breaker.recovery_ramp"]:
            raise Problem("jitter and ramp are outside the reference")


# ---------------------------------------------------------------- the small part of YAML

def strip_remark(line):
    return re.sub(r"(^|\s)#.*$", "", line).rstrip()


def read_flow(text):
    """`{a: 1, b: {c: 2}}` or a scalar -> nested dict of strings."""
    tokens = re.findall(r"[{},]|:(?=\s|$|[{])|\"[^\"]*\"|'[^']*'|[^\s{},:\"'][^{},:]*(?::(?!\s|$)[^{},:]*)*", text)
    tokens = [token.strip() for token in tokens if token.strip()]
    position = 0

    def value():
        nonlocal position
        if position >= len(tokens):
            raise Problem("a value is missing")
        token = tokens[position]
        position += 1
        if token != "{":
            return token.strip("\"'")
        result = {}
        while tokens[position] != "}":
            key = tokens[position].strip("\"'")
            if tokens[position + 1] != ":" or key in result:
                raise Problem(f"bad or duplicate key {key}")
            position += 2
            result[key] = value()
            if tokens[position] == ",":
                position += 1
        position += 1
        return result

    result = value()
    if position != len(tokens):
        raise Problem(f"trailing text: {text}")
    return result


def read_yaml(text):
    lines = []
    for line in text.split("\n"):
        line = strip_remark(line)
        if not line.strip():
            continue
        if lines and lines[-1].count("{") > lines[-1].count("}"):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line)
    position = 0

    def block(indent):
        nonlocal position
        result = {}
        while position < len(lines):
            line = lines[position]
            depth = len(line) - len(line.lstrip())
            if depth < indent:
                break
            match = re.fullmatch(r"\s*([\w.-]+):(?:\s+(.*))?", line)
            if depth > indent or not match or match[1] in result:
                raise Problem(f"bad or duplicate line: {line}")
            position += 1
            if match[2]:
                result[match[1]] = read_flow(match[2])
            elif position < len(lines) and len(lines[position]) - len(lines[position].lstrip()) > indent:
                result[match[1]] = block(len(lines[position]) - len(lines[position].lstrip()))
            else:
                raise Problem(f"no value: {line}")
        return result

    return block(0)


def flatten(tree, prefix=""):
    for key, value in tree.items():
        if isinstance(value, dict):
            if prefix + key in BLOCKS or value == {}:
                yield prefix + key, {}
            yield from flatten(value, prefix + key + ".")
        else:
            yield prefix + key, value


def read_config(text):
    tree = read_yaml(text)
    if tree.pop("version", None) != "1":
        raise Problem("version: 1 is missing")
    defaults = tree.pop("defaults", {})
    dependencies = tree.pop("dependencies", {})
    if tree:
        raise Problem(f"unknown keys: {', '.join(tree)}")
    result = {}
    for name, own in dependencies.items():
        settings = Settings()
        for part in (defaults, own):
            for key, value in flatten(part):
                settings.put(key, value)
        settings.check()
        result[name] = settings
    return result


# ---------------------------------------------------------------- policies

class TimeWindow:
    """Equal buckets aligned to the origin; a read sums the last B of them."""

    def __init__(self, settings):
        self.count = settings["breaker.window.buckets"]
        self.length = settings["breaker.window.span"] // self.count
        self.buckets = {}

    def add(self, now, bad, slow):
        bucket = self.buckets.setdefault(now // self.length, [0, 0, 0])
        bucket[0] += 1
        bucket[1] += bad
        bucket[2] += slow

    def sums(self, now):
        current = now // self.length
        live = [bucket for key, bucket in self.buckets.items() if current - self.count < key <= current]
        return tuple(sum(bucket[i] for bucket in live) for i in range(3))


class CountWindow:
    """The last N outcomes."""

    def __init__(self, settings):
        self.ring = deque(maxlen=settings["breaker.window.size"])

    def resize(self, size):
        self.ring = deque(self.ring, maxlen=size)

    def add(self, now, bad, slow):
        self.ring.append((1, bad, slow))

    def sums(self, now):
        return tuple(sum(entry[i] for entry in self.ring) for i in range(3))


def window_shape(settings):
    if settings["breaker.window.kind"] == "time":
        return "time", settings["breaker.window.span"], settings["breaker.window.buckets"]
    return "count", settings["breaker.window.size"]


def new_window(settings):
    return TimeWindow(settings) if settings["breaker.window.kind"] == "time" else CountWindow(settings)


class Trial:
    """One trial place; its lease has no end while its call still waits."""

    def __init__(self):
        self.lease_end = None


class Breaker:
    epochs = 0  # never the same epoch twice, in whatever breaker

    def __init__(self, settings):
        self.settings = settings
        self.state, self.override = "closed", None
        self.running = set()  # calls of whatever epoch that run now
        self.open_until, self.reopenings = 0, 0
        self.trials, self.successes, self.failures = [], 0, 0
        self.begin_counting()

    def new_epoch(self):
        Breaker.epochs += 1
        self.epoch = Breaker.epochs

    def begin_counting(self):
        self.new_epoch()
        self.window = new_window(self.settings)
        self.consecutive = 0

    def shown(self, now):
        if self.override:
            return self.override
        return "half-open" if self.state == "open" and now >= self.open_until else self.state

    def open_length(self):
        exact = self.settings["breaker.open_for"] * self.settings["breaker.open_backoff"] ** self.reopenings
        return int(min(exact, self.settings["breaker.open_for_max"]))

    def open(self, now):
        self.state = "open"
        self.open_until = now + self.open_length()
        self.new_epoch()

    def close(self):
        self.state, self.reopenings = "closed", 0
        self.begin_counting()

    def force(self, name):
        override = OVERRIDES[name]
        if override != self.override:
            self.override = override
            self.close()

    # -- rules

    def overdue(self, now):
        limit = self.settings["breaker.slow_call"]
        return sum(1 for call in self.running if call.epoch == self.epoch and now - call.begun > limit)

    def slow_rule(self, now, overdue):
        calls, _, slow = self.window.sums(now)
        return (calls + overdue >= self.settings["breaker.minimum_calls"] and calls + overdue > 0 and
                (slow + overdue) * 100 >= self.settings["breaker.slow_rate"] * (calls + overdue))

    def trips_at_look(self, now):
        if self.override or self.state != "closed":
            return False
        overdue = self.overdue(now)
        return overdue > 0 and self.slow_rule(now, overdue)

    def trips_at_recording(self, now):
        calls, failures, _ = self.window.sums(now)
        run = self.settings["breaker.consecutive_failures"]
        return ((run > 0 and self.consecutive >= run) or
                (calls >= self.settings["breaker.minimum_calls"] and
                 failures * 100 >= self.settings["breaker.failure_rate"] * calls) or
                self.slow_rule(now, self.overdue(now)))

    # -- admission

    def drop_expired(self, now):
        self.trials = [t for t in self.trials if t.lease_end is None or now < t.lease_end]

    def places_left(self, now):
        self.drop_expired(now)
        left = self.settings["breaker.trial_calls"] - self.successes - self.failures - len(self.trials)
        # A verdict is still due and nobody is under way to give it (trial_calls was lowered): one more.
        return max(left, 1 if not self.trials else 0)

    def look(self, now, writes=True):
        """(passes, retry_after); opens here if overdue calls say so, unless only asked."""
        if self.override:
            return self.override != "forced-open", None
        if self.trips_at_look(now):
            if writes:
                self.open(now)
            return False, self.open_length()
        if self.state == "open" and now < self.open_until:
            return False, self.open_until - now
        if self.state == "half-open" and self.places_left(now) <= 0:
            return False, None
        return True, None

    def take(self, call, now):
        """After a look that passed."""
        if not self.override and self.state == "open":
            self.state = "half-open"
            self.trials, self.successes, self.failures = [], 0, 0
            self.new_epoch()
        call.epoch, call.trial = self.epoch, None
        if not self.override and self.state == "half-open":
            call.trial = Trial()
            self.trials.append(call.trial)

    def ask_again(self, call, now):
        """After a wait: (passes, retry_after)."""
        if self.trips_at_look(now):
            self.open(now)
        if call.epoch == self.epoch:
            return True, None
        passes, retry = self.look(now)
        if passes:
            self.take(call, now)
        return passes, retry

    def give_back(self, call):
        if call.trial in self.trials:
            self.trials.remove(call.trial)

    def begin(self, call, now):
        self.running.add(call)
        if call.trial:
            call.trial.lease_end = now + self.settings["breaker.trial_lease"]

    # -- recording

    def record(self, call, outcome, now):
        self.running.discard(call)
        if call.epoch is None:
            return "settled"
        if call.epoch != self.epoch:
            return "late"
        slow = now - call.begun > self.settings["breaker.slow_call"]
        if call.trial:
            return self.record_trial(call, outcome, slow, now)
        if outcome in NEUTRAL:
            return "settled"
        bad = outcome in BAD
        self.window.add(now, int(bad), int(slow))
        self.consecutive = self.consecutive + 1 if bad else 0
        if not self.override and self.trips_at_recording(now):
            self.open(now)
        return "settled"

    def record_trial(self, call, outcome, slow, now):
        self.drop_expired(now)
        if call.trial not in self.trials:
            return "late"
        self.trials.remove(call.trial)
        if outcome in NEUTRAL:
            return "settled"
        if outcome in BAD or slow:
            self.failures += 1
        else:
            self.successes += 1
        needed = self.settings["breaker.trial_successes"]
        left = max(0, self.settings["breaker.trial_calls"] - self.successes - self.failures)
        if self.successes >= needed:
            self.close()
        elif self.successes + left < needed:
            self.reopenings += 1
            self.open(now)
        return "settled"


class RateLimit:
    """Bucket and pacing by theoretical arrival time, the window by a log."""

    def __init__(self, settings, now):
        self.arrival = Fraction(now)
        self.credit = None  # tokens kept while the rate is 0
        self.log = []       # (stamp, cost), stamps never fall
        self.read(settings)
        if self.count == 0:
            self.credit = Fraction(self.capacity)

    def read(self, settings):
        self.count, self.period = settings["rate_limit.rate"]
        self.mode = settings["rate_limit.mode"]
        self.capacity = 1 if self.mode == "pacing" else settings["rate_limit.burst"]
        self.token = Fraction(self.period, self.count) if self.count else None

    def exact_tokens(self, now):
        if self.token is None:
            return self.credit
        return self.capacity - max(self.arrival - now, 0) / self.token

    def change(self, settings, now):
        if settings["rate_limit.mode"] != self.mode:
            raise Problem("a change of the rate limit's mode is outside the reference")
        tokens = self.exact_tokens(now)
        self.read(settings)
        tokens = min(tokens, self.capacity)
        if self.token is None:
            self.credit = tokens
        else:
            self.arrival = now + (self.capacity - tokens) * self.token

    def window_stamp(self, now, cost):
        """The first instant, not before any stamp given out, at which `cost` fits."""
        first = max([now] + [stamp for stamp, _ in self.log[-1:]])
        for stamp in sorted({first} | {s + self.period for s, _ in self.log if s + self.period > first}):
            used = sum(c for s, c in self.log if stamp - self.period < s <= stamp)
            if used + cost <= self.count:
                return stamp
        raise AssertionError("a cost within the limit always fits some day")

    def look(self, now, cost):
        """(reason or None, wait or None)"""
        if self.count == 0:
            return "rate", None
        if self.mode == "window":
            if cost > self.count:
                return "cost", None
            wait = self.window_stamp(now, cost) - now
        elif self.mode == "pacing":
            wait = -((now - self.arrival) // 1)
        else:
            if cost > self.capacity:
                return "cost", None
            over = max(self.arrival, now) + cost * self.token - now - self.capacity * self.token
            wait = -(-over // 1)
        return ("rate", int(wait)) if wait > 0 else (None, None)

    def take(self, now, cost):
        if self.mode == "window":
            self.log.append((self.window_stamp(now, cost), cost))
        else:
            self.arrival = max(self.arrival, now) + cost * self.token

    def whole_tokens(self, now):
        if self.count == 0:
            return 0
        if self.mode == "window":
            return max(0, self.count - sum(c for s, c in self.log if s > now - self.period))
        if self.mode == "pacing":
            return 1 if self.arrival <= now else 0
        return max(0, int(self.exact_tokens(now) // 1))


# ---------------------------------------------------------------- the simulator

class Call:
    def __init__(self, name, line, cost, event):
        self.name, self.line, self.cost, self.event = name, line, cost, event
        self.outcome, self.took = None, 0
        self.deadline = self.wait_end = None
        self.epoch = self.trial = self.begun = None
        self.refused = False
        self.ended = None


class Dependency:
    def __init__(self, simulator, name, settings):
        self.simulator, self.name, self.settings = simulator, name, settings
        self.breaker = Breaker(settings) if settings.on["breaker"] else None
        self.rate = RateLimit(settings, 0) if settings.on["rate_limit"] else None
        self.in_flight = 0
        self.queue = deque()

    # -- gates

    def looks(self, now, cost, may_wait, deadline, writes):
        """Every gate in order: list of (gate, reason, retry_after), nothing taken."""
        refusals = []
        if self.settings["mode"] == "off":
            return [("off", "off", None)]
        observed = self.settings["mode"] == "observe"
        if self.breaker:
            passes, retry = self.breaker.look(now, writes)
            if not passes:
                refusals.append(("breaker", "open", retry))
                if not observed:
                    return refusals
        if self.is_full() and not (may_wait and self.settings["max_wait"] > 0):
            refusals.append(("bulkhead", "bulkhead", None))
            if not observed:
                return refusals
        if self.rate:
            reason, wait = self.rate.look(now, cost)
            if reason and not (may_wait and self.may_wait_for_token(now, wait, deadline)):
                refusals.append(("rate", reason, wait))
        return refusals

    def is_full(self):
        return self.in_flight >= self.settings["max_concurrent"]

    def may_wait_for_token(self, now, wait, deadline):
        return wait is not None and wait <= self.settings["rate_limit.max_wait"] and now + wait < deadline

    def ask(self, cost):
        now = self.simulator.now
        refusals = self.looks(now, cost, False, None, writes=False)
        observed = self.settings["mode"] == "observe"
        self.print_answer("ask", "-", refusals, observed, self.simulator.line)

    def print_answer(self, event, name, refusals, observed, line):
        if not refusals:
            self.simulator.print(self, event, name, "admitted", "-", None, line)
        elif observed:
            self.simulator.print(self, event, name, "admitted", refusals[0][1], None, line)
        else:
            self.simulator.print(self, event, name, "rejected", refusals[0][1], refusals[0][2], line)

    def admit(self, call):
        """One call or begin asks now."""
        now = self.simulator.now
        observed = self.settings["mode"] == "observe"
        may_wait = call.event == "call" and not observed
        refusals = self.looks(now, call.cost, may_wait, call.deadline, writes=True)
        if refusals and not observed:
            call.refused = True
            self.print_answer(call.event, call.name, refusals, False, call.line)
            return
        gates = [gate for gate, _, _ in refusals]
        if self.breaker and "breaker" not in gates:
            self.breaker.take(call, now)
        if observed:
            self.in_flight += 1
            if self.rate and "rate" not in gates:
                self.rate.take(now, call.cost)
            self.start(call, refusals)
        elif self.is_full():
            self.queue.append(call)
            self.simulator.at(call.wait_end, call, self.wait_ended)
        else:
            self.in_flight += 1
            self.pass_rate(call)

    def pass_rate(self, call):
        """The last gate, for a call that holds its place."""
        now = self.simulator.now
        if self.rate:
            reason, wait = self.rate.look(now, call.cost)
            if reason:
                if call.event != "call" or not self.may_wait_for_token(now, wait, call.deadline):
                    self.refuse_holder(call, reason, wait)
                    return
                self.rate.take(now, call.cost)
                self.simulator.at(now + wait, call, self.token_came)
                return
            self.rate.take(now, call.cost)
        self.start(call, [])

    def refuse_holder(self, call, reason, retry):
        if self.breaker:
            self.breaker.give_back(call)
        self.in_flight -= 1
        call.refused = True
        self.simulator.print(self, call.event, call.name, "rejected", reason, retry, call.line)

    def token_came(self, call):
        if self.breaker:
            passes, retry = self.breaker.ask_again(call, self.simulator.now)
            if not passes:
                self.refuse_holder(call, "open", retry)
                self.hand_places()
                return
        self.start(call, [])

    def wait_ended(self, call):
        if call not in self.queue:
            return
        self.queue.remove(call)
        if self.breaker:
            self.breaker.give_back(call)
        reason = "deadline" if call.deadline <= call.wait_end else "bulkhead"
        self.simulator.print(self, call.event, call.name, "rejected", reason, None, call.line)

    def hand_places(self):
        """Free places go to those who wait, first come first served."""
        while self.queue and not self.is_full():
            call = self.queue.popleft()
            self.in_flight += 1
            if self.simulator.now >= call.deadline:  # periods are half-open
                self.refuse_holder(call, "deadline", None)
                continue
            if self.breaker:
                passes, retry = self.breaker.ask_again(call, self.simulator.now)
                if not passes:
                    self.refuse_holder(call, "open", retry)
                    continue
            self.pass_rate(call)

    def start(self, call, refusals):
        now = self.simulator.now
        call.begun = now
        if self.breaker:
            self.breaker.begin(call, now)
        self.print_answer(call.event, call.name, refusals, bool(refusals), call.line)
        if call.event == "call":
            self.simulator.at(now + call.took, call, self.settle_call)

    def settle_call(self, call):
        self.settle(call, call.outcome, call.line)

    def settle(self, call, outcome, line):
        verdict = self.breaker.record(call, outcome, self.simulator.now) if self.breaker else "settled"
        call.ended = outcome
        self.in_flight -= 1
        self.simulator.print(self, "end", call.name, verdict, outcome, None, line)
        self.hand_places()

    # -- live change

    def set(self, key, text):
        now, old, new = self.simulator.now, self.settings, self.settings.copy()
        if key == "isolation":
            raise Problem("isolation changes only with a restart")
        new.put(key, text)
        new.check()
        self.settings = new
        if not new.on["breaker"]:
            self.breaker = None
        elif self.breaker is None:
            self.breaker = Breaker(new)
        else:
            self.breaker.settings = new
            if window_shape(new) != window_shape(old):
                if new["breaker.window.kind"] == old["breaker.window.kind"] == "count":
                    self.breaker.window.resize(new["breaker.window.size"])
                else:
                    self.breaker.window = new_window(new)
        if not new.on["rate_limit"]:
            self.rate = None
        elif self.rate is None:
            self.rate = RateLimit(new, now)
        else:
            self.rate.change(new, now)


def milliseconds(ns):
    return f"{ns // 10**6}.{ns % 10**6:06d}"


def rounded_percent(part, total):
    hundredths = (part * 10000 * 2 + total) // (2 * total)  # half up
    return f"{hundredths // 100}.{hundredths % 100:02d}"


class Simulator:
    def __init__(self, config):
        self.now, self.line, self.calls, self.sequence = 0, 0, 0, 0
        self.events, self.rows, self.permits = [], [], {}
        Breaker.epochs = 0
        self.dependencies = {name: Dependency(self, name, settings) for name, settings in config.items()}

    def at(self, time, call, action):
        """Later work of a script line; at one instant the earlier line goes first, then what was planned first."""
        self.sequence += 1
        heapq.heappush(self.events, (time, call.line, self.sequence, call, action))

    def print(self, dependency, event, name, verdict, reason, retry, line):
        now, breaker = self.now, dependency.breaker
        shown = ["-"] * 6
        if breaker:
            calls, failures, slow = breaker.window.sums(now)
            shown = [breaker.shown(now), calls, failures, slow, "-", "-"]
            if calls and calls >= dependency.settings["breaker.minimum_calls"]:
                shown[4:] = [rounded_percent(failures, calls), rounded_percent(slow, calls)]
        row = [milliseconds(now), dependency.name, event, name, verdict, reason,
               "-" if retry is None else milliseconds(retry), *shown, dependency.in_flight, len(dependency.queue),
               dependency.rate.whole_tokens(now) if dependency.rate else "-"]
        self.rows.append((line, [str(value) for value in row]))

    def run_until(self, time):
        while self.events and (time is None or self.events[0][0] <= time):
            self.now, _, _, call, action = heapq.heappop(self.events)
            action(call)
        if time is not None:
            self.now = time

    def run(self, script):
        for number, text in enumerate(script.split("\n"), 1):
            words = strip_remark(text).split()
            if not words:
                continue
            try:
                self.one_line(number, words)
            except (Problem, IndexError) as problem:
                raise Problem(f"line {number}: {problem or 'words are missing'}") from None
        self.run_until(None)
        return self.rows

    def one_line(self, number, words):
        time = duration(words[0])
        if time < self.now:
            raise Problem("time goes back")
        self.run_until(time)
        self.line = number
        if words[1] not in self.dependencies:
            raise Problem(f"unknown dependency {words[1]}")
        dependency, verb, rest = self.dependencies[words[1]], words[2], words[3:]
        if verb == "call":
            self.call(dependency, number, rest)
        elif verb == "begin":
            self.begin(dependency, number, rest)
        elif verb == "end":
            self.end(dependency, number, rest)
        elif verb == "ask":
            dependency.ask(self.options(rest).get("cost", 1))
        elif verb == "force" and len(rest) == 1 and rest[0] in OVERRIDES:
            if not dependency.breaker:
                raise Problem("the breaker is off")
            dependency.breaker.force(rest[0])
            self.print(dependency, "force", "-", "state", rest[0], None, number)
            dependency.hand_places()
        elif verb == "set" and len(rest) == 2:
            dependency.set(*rest)
            self.print(dependency, "set", "-", "state", "-", None, number)
            dependency.hand_places()
        else:
            raise Problem(f"cannot read: {' '.join(words[2:])}")

    def options(self, words):
        result, words = {}, list(words)
        while words:
            word = words.pop(0)
            if re.fullmatch(r"x\d+", word):
                result["x"] = whole(word[1:])
            elif word == "cost":
                result["cost"] = whole(words.pop(0))
                if result["cost"] == 0:
                    raise Problem("cost 0")
            elif word == "took":
                result["took"] = duration(words.pop(0))
            elif word in ("key", "priority"):
                words.pop(0)
            else:
                raise Problem(f"unknown word {word}")
        return result

    def call(self, dependency, number, rest):
        outcome, options = OUTCOMES.get(rest[0]), self.options(rest[1:])
        if outcome is None:
            raise Problem(f"unknown outcome {rest[0]}")
        for _ in range(options.get("x", 1)):
            self.calls += 1
            call = Call(str(self.calls), number, options.get("cost", 1), "call")
            call.outcome, call.took = outcome, options.get("took", 0)
            call.deadline = self.now + dependency.settings["timeout"]
            call.wait_end = min(self.now + dependency.settings["max_wait"], call.deadline)
            dependency.admit(call)

    def begin(self, dependency, number, rest):
        name = rest[0]
        if name in self.permits and not self.permits[name][1].ended and not self.permits[name][1].refused:
            raise Problem(f"permit {name} is still held")
        call = Call(name, number, self.options(rest[1:]).get("cost", 1), "begin")
        self.permits[name] = dependency, call
        dependency.admit(call)

    def end(self, dependency, number, rest):
        name, outcome = rest[0], OUTCOMES.get(rest[1])
        if outcome is None or len(rest) != 2:
            raise Problem("an end needs a permit and an outcome")
        if name not in self.permits or self.permits[name][0] is not dependency:
            raise Problem(f"permit {name} was never begun here")
        call = self.permits[name][1]
        if call.refused:
            return
        if call.ended:
            self.print(dependency, "end", name, "late", outcome, None, number)
        else:
            dependency.settle(call, outcome, number)


def simulate(config, script):
    """[(script line, row)]"""
    return Simulator(read_config(config)).run(script)


def as_csv(rows):
    return "".join(",".join(row) + "\n" for row in [COLUMNS] + [row for _, row in rows])


# ---------------------------------------------------------------- cases with remarks

def expectations(script):
    for number, text in enumerate(script.split("\n"), 1):
        if "# ->" in text:
            expected = []
            for part in text.split("# ->", 1)[1].split(";"):
                words = part.split()
                times = [int(word[1:]) for word in words if re.fullmatch(r"x\d+", word)]
                words = [word for word in words if not re.fullmatch(r"x\d+", word)]
                expected += [words] * (times[0] if times else 1)
            yield number, [] if expected == [["nothing"]] else expected


def disagreements(script, rows):
    for number, expected in expectations(script):
        found = [row for line, row in rows if line == number]
        if len(found) != len(expected):
            yield f"line {number}: {len(expected)} rows expected, {len(found)} found"
        for words, row in zip(expected, found):
            for position, word in enumerate(words):
                column, _, value = word.partition("=") if "=" in word else (COLUMNS[4 + position], "", word)
                if column not in COLUMNS or row[COLUMNS.index(column)] != value:
                    yield f"line {number}: expected {word}, found {','.join(row)}"


def read_file(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def check_cases(names, update):
    folder = os.path.dirname(os.path.abspath(__file__))
    names = names or sorted(name[:-4] for name in os.listdir(folder) if name.endswith(".sim"))
    bad = 0
    for name in names:
        stem = os.path.join(folder, name)
        try:
            script = read_file(stem + ".sim")
            rows = simulate(read_file(stem + ".yaml"), script)
        except Problem as problem:
            print(f"{name}: {problem}")
            bad += 1
            continue
        problems = list(disagreements(script, rows))
        if not problems and update:
            with open(stem + ".csv", "w", encoding="utf-8") as file:
                file.write(as_csv(rows))
        elif not os.path.exists(stem + ".csv") or read_file(stem + ".csv") != as_csv(rows):
            problems.append("the rows differ from the .csv file")
        for problem in problems:
            print(f"{name}: {problem}")
        bad += bool(problems)
    print(f"{len(names)} cases, {bad} bad")
    return 1 if bad else 0


# ---------------------------------------------------------------- random input

class Invention:
    """A random valid configuration and script; times crowd around the edges that matter.

    What the promised behaviour leaves open is left out: waits under `mode: observe`, a change of
    mode where calls may wait, blocks switched on or off live, fewer trial_calls live, rate 0,
    another kind of rate limit or another period of a window limit live.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = ["pay", "stock", "mail"][:self.random.choice([1, 1, 2, 3])]
        self.settings = {name: self.invent_settings() for name in self.names}
        self.near = set()
        self.held, self.gone, self.begun = [], [], 0

    def pick(self, *options):
        return self.random.choice(options)

    def chance(self, share):
        return self.random.random() < share

    def invent_settings(self):
        settings = {"mode": self.pick("on", "on", "on", "on", "observe"),
                    "max_concurrent": self.pick("1", "2", "3", "5", "10", "1024"),
                    "timeout": self.pick("5ms", "20ms", "50ms", "1s", "10s")}
        waits = settings["mode"] == "on" and self.chance(0.5)
        if waits:
            settings["max_wait"] = self.pick("1ns", "5ms", "10ms", "20ms", "50ms", "1s")
        if self.chance(0.9):
            calls = self.random.randint(1, 4)
            settings.update({
                "breaker.window.kind": self.pick("time", "time", "count"),
                "breaker.window.span": self.pick("60ms", "120ms", "600ms", "1200ms"),
                "breaker.window.buckets": self.pick("1", "2", "3", "5", "10"),
                "breaker.window.size": str(self.random.randint(1, 12)),
                "breaker.minimum_calls": str(self.random.randint(1, 8)),
                "breaker.failure_rate": self.pick("1%", "25%", "33.33%", "50%", "50%", "66.7%", "100%"),
                "breaker.slow_call": self.pick("1ns", "5ms", "10ms", "20ms", "50ms", "200ms"),
                "breaker.slow_rate": self.pick("10%", "30%", "50%", "75%", "100%", "100%"),
                "breaker.consecutive_failures": self.pick("0", "0", "1", "2", "3", "5"),
                "breaker.open_for": self.pick("1ns", "5ms", "10ms", "30ms", "50ms"),
                "breaker.open_backoff": self.pick("1.0", "1.5", "2", "2.0", "1.3", "3.7"),
                "breaker.open_for_max": self.pick("50ms", "60ms", "100ms", "60s"),
                "breaker.trial_calls": str(calls),
                "breaker.trial_successes": str(self.random.randint(1, calls)),
                "breaker.trial_lease": self.pick("1ns", "5ms", "10ms", "30ms", "50ms", "10s")})
        if self.chance(0.6):
            settings.update({
                "rate_limit.rate": self.pick("1/s", "3/s", "7/s", "10/s", "50/s", "100/s", "300/s", "960/s", "90/m",
                                             "700/m", "6000/m", "90000/h", "1000000/s"),
                "rate_limit.burst": str(self.random.choice([1, 1, 2, 3, 5, 10, 100])),
                "rate_limit.mode": self.pick("bucket", "bucket", "pacing", "window")})
            if waits or (settings["mode"] == "on" and self.chance(0.4)):
                settings["rate_limit.max_wait"] = self.pick("0ms", "1ms", "10ms", "30ms", "100ms", "2s")
        return settings

    def config(self):
        lines = ["version: 1", "dependencies:"]
        for name in self.names:
            tree = {}
            for key, text in self.settings[name].items():
                node, parts = tree, key.split(".")
                for part in parts[:-1]:
                    node = node.setdefault(part, {})
                node[parts[-1]] = text
            lines += [f"  {name}:"] + self.block(tree, 4)
        return "\n".join(lines) + "\n"

    def block(self, tree, indent):
        lines = []
        for key, value in tree.items():
            if not isinstance(value, dict):
                lines.append(" " * indent + f"{key}: {value}")
            elif key == "window":
                inner = ", ".join(f"{k}: {v}" for k, v in value.items())
                lines.append(" " * indent + f"window: {{{inner}}}")
            else:
                lines += [" " * indent + key + ":"] + self.block(value, indent + 2)
        return lines

    def next_time(self, now):
        edges = sorted(t for t in self.near if now <= t <= now + 120 * 10**6)
        if edges and self.chance(0.45):
            return max(now, self.random.choice(edges[:8]) + self.pick(0, 0, 0, -1, 1))
        return now + self.pick(0, 0, 0, 1, 10**6, 10**6, 2 * 10**6, 5 * 10**6, 5 * 10**6, 10 * 10**6, 20 * 10**6,
                               37 * 10**6, 1234567, self.pick(10**6, 60 * 10**6, 300 * 10**6))

    def remember(self, now, settings, took=0):
        keys = ("breaker.open_for", "breaker.slow_call", "breaker.trial_lease", "max_wait", "timeout",
                "rate_limit.max_wait")
        self.near |= {now + took + duration(settings[key]) for key in keys if key in settings}
        if "breaker.slow_call" in settings:
            self.near.add(now + duration(settings["breaker.slow_call"]))
        if "breaker.window.span" in settings:
            length = duration(settings["breaker.window.span"]) // int(settings["breaker.window.buckets"])
            self.near |= {(now // length + 1) * length, (now // length) * length + duration(settings["breaker.window.span"])}
        if "rate_limit.rate" in settings:
            count, period = rate(settings["rate_limit.rate"])
            self.near.add(now + -(-period // count))
        self.near.add(now + took)
        self.near = {t for t in self.near if t >= now}

    def cost(self, settings):
        if "rate_limit.rate" in settings and self.chance(0.3):
            return f" cost {self.random.choice([1, 2, 2, 3, 5, 11])}"
        return ""

    def outcome(self):
        return self.pick("ok", "ok", "ok", "ok", "fail", "fail", "fail", "timeout", "ignore", "cancel", "crash")

    def change(self, settings):
        """A live change that is valid now, or None."""
        keys = [key for key in settings if key != "rate_limit.mode"]
        key = self.random.choice(keys)
        if key == "mode":
            if duration(settings.get("max_wait", "0ms")) or duration(settings.get("rate_limit.max_wait", "0ms")):
                return None
            return key, self.pick("on", "observe", "off")
        fresh = self.invent_settings().get(key)
        if fresh is None or (settings["mode"] != "on" and key.endswith("max_wait")):
            return None
        if key == "breaker.trial_calls" and int(fresh) < int(settings[key]):
            return None
        if key == "breaker.trial_successes" and int(fresh) > int(settings["breaker.trial_calls"]):
            return None
        if key == "rate_limit.rate" and settings["rate_limit.mode"] == "window" and \
                (fresh.split("/")[1] != settings[key].split("/")[1] or duration(settings.get("rate_limit.max_wait", "0ms"))):
            return None  # stamps that reservations have pushed out of the log cannot come back
        return key, fresh

    def script(self):
        lines, now = [], 0
        live = {name: dict(settings) for name, settings in self.settings.items()}
        for _ in range(self.random.randint(20, 70)):
            now = self.next_time(now)
            name = self.random.choice(self.names)
            settings = live[name]
            dice, words, took = self.random.random(), None, 0
            if dice < 0.45:
                took = duration(self.pick("0ms", "1ms", "5ms", "5ms", "10ms", "10.000001ms", "20ms", "50ms", "50.000001ms",
                                          "200ms"))
                if "breaker.slow_call" in settings and self.chance(0.2):
                    took = max(0, duration(settings["breaker.slow_call"]) + self.pick(-1, 0, 1))
                times = self.pick("", "", "", " x2", " x3", " x5", " x12")
                words = f"call {self.outcome()} took {took}ns{self.cost(settings)}{times}"
            elif dice < 0.62:
                self.begun += 1
                self.held.append((name, f"p{self.begun}"))
                words = f"begin p{self.begun}{self.cost(settings)}"
            elif dice < 0.78 and self.held:
                name, permit = self.held.pop(self.random.randrange(len(self.held)))
                self.gone.append((name, permit))
                words = f"end {permit} {self.outcome()}"
            elif dice < 0.79 and self.gone:
                name, permit = self.random.choice(self.gone)
                words = f"end {permit} {self.outcome()}"
            elif dice < 0.88:
                words = "ask"
            elif dice < 0.91 and "breaker.open_for" in settings:
                words = f"force {self.pick('open', 'closed', 'observe', 'auto', 'auto', 'auto')}"
            else:
                change = self.change(settings)
                if change:
                    settings[change[0]] = change[1]
                    words = f"set {change[0]} {change[1]}"
            if words:
                lines.append(f"{now}ns {name} {words}")
                self.remember(now, settings, took)
        return "\n".join(lines) + "\n"


def invent(seed):
    invention = Invention(seed)
    return invention.config(), invention.script()


def main(arguments):
    try:
        if arguments[:1] == ["--check"] or arguments[:1] == ["--update"]:
            return check_cases(arguments[1:], arguments[0] == "--update")
        if arguments[:1] == ["--random"] and len(arguments) == 2:
            config, script = invent(int(arguments[1]))
            print(config + "# script\n" + script, end="")
        elif arguments[:1] == ["--random-many"] and len(arguments) == 4:
            first, count, folder = int(arguments[1]), int(arguments[2]), arguments[3]
            for seed in range(first, first + count):
                config, script = invent(seed)
                rows = as_csv(simulate(config, script))
                for ending, text in (("yaml", config), ("sim", script), ("csv", rows)):
                    with open(os.path.join(folder, f"{seed}.{ending}"), "w", encoding="utf-8") as file:
                        file.write(text)
        elif len(arguments) == 2:
            print(as_csv(simulate(read_file(arguments[0]), read_file(arguments[1]))), end="")
        else:
            print(__doc__, file=sys.stderr)
            return 2
    except Problem as problem:
        print(f"reference.py: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
