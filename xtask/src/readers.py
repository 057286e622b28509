"""The agent's formats, read by the programs that people read them with: `readers.py AGENT CAPTURES FLEET_SQL`.

Ends with 1 and one line that says what is wrong.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import duckdb
from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.logs.v1 import logs_pb2
from perfetto.protos.perfetto.trace import perfetto_trace_pb2

AGENT, CAPTURES, FLEET_SQL = sys.argv[1:]
BEGIN, END, COUNTER = 1, 2, 4


def shown(path, form):
    return subprocess.run([AGENT, "report", path, "--format", form], stdout=subprocess.PIPE).stdout


def demand(holds, what):
    if not holds:
        sys.exit(what)


def perfetto(path, report):
    """Every packet is one of those that there are, every slice ends, every arrow begins and ends."""
    trace = perfetto_trace_pb2.Trace()
    trace.ParseFromString(shown(path, "perfetto"))
    tracks, depth, begun, ended, counters, slices = {}, {}, set(), set(), 0, 0
    for packet in trace.packet:
        demand(not len(UnknownFieldSet(packet)), f"{path}: a field that there is not")
        if packet.HasField("track_descriptor"):
            track = packet.track_descriptor
            demand(track.uuid not in tracks, f"{path}: a track twice")
            demand(not track.HasField("parent_uuid") or track.parent_uuid in tracks, "no parent")
            tracks[track.uuid] = track.name
        elif packet.HasField("track_event"):
            event = packet.track_event
            demand(event.track_uuid in tracks, f"{path}: an event of no track")
            if event.type == BEGIN:
                slices += 1
                demand(depth.get(event.track_uuid, 0) == 0, f"{path}: slices of a track overlap")
                depth[event.track_uuid] = 1
                begun.update(event.flow_ids)
                ended.update(event.terminating_flow_ids)
            elif event.type == END:
                demand(depth.get(event.track_uuid) == 1, f"{path}: an end without a begin")
                depth[event.track_uuid] = 0
            else:
                demand(event.type == COUNTER, f"{path}: an event of type {event.type}")
                counters += 1
    demand(not any(depth.values()), f"{path}: a slice does not end")
    demand(begun == ended, f"{path}: arrows without an end")
    if report["verdict"]["kind"] == "host_trim":
        demand(begun or report["verdict"]["confidence"] != "high", f"{path}: no arrow from the trim")
    clocks = [packet for packet in trace.packet if packet.HasField("clock_snapshot")]
    demand(len(clocks) == 1, f"{path}: {len(clocks)} clock snapshots")
    for device in report["devices"]:
        if any(one["ops"] for one in device["operations"]):
            demand(f"disk {device['id']}" in tracks.values(), f"{path}: no track of {device['id']}")
    return slices + counters


def otlp(path):
    data = logs_pb2.LogsData()
    json_format.Parse(shown(path, "otlp-jsonl").decode(), data)
    record = data.resource_logs[0].scope_logs[0].log_records[0]
    demand(record.time_unix_nano > 0 and record.body.string_value, f"{path}: an empty log record")


def fleet(reports):
    """Each statement of the file gives rows over reports of a week, whose worst VM and culprits are known."""
    with tempfile.TemporaryDirectory() as folder:
        for index, report in enumerate(reports):
            pathlib.Path(folder, f"stall-{index}.json").write_text(json.dumps(report))
        text = pathlib.Path(FLEET_SQL).read_text().replace("stall-*.json", f"{folder}/stall-*.json")
        base = duckdb.connect()
        rows = []
        for statement in duckdb.extract_statements(text):
            result = base.execute(statement.query)
            if statement.type == duckdb.StatementType.SELECT:
                rows.append(result.fetchall())
        demand(len(rows) >= 4 and all(rows), f"fleet.sql: {[len(one) for one in rows]} rows")
        total = sum(row[-1] for row in rows[0])
        demand(total == len(reports), f"fleet.sql: {total} of {len(reports)} reports are counted")


def main():
    events, reports = 0, []
    for path in sorted(pathlib.Path(CAPTURES).glob("*.json")):
        if path.name == "expected.json":
            continue
        report = json.loads(shown(path, "json"))
        reports.append(report)
        events += perfetto(path, report)
        otlp(path)
    demand(len(reports) > 20 and events > 1000, f"{len(reports)} reports, {events} events")
    fleet(reports)
    print(f"{len(reports)} reports, {events} events in Perfetto's traces")


main()
