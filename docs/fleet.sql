-- Questions over many reports, for DuckDB: `duckdb < docs/fleet.sql` in a folder with reports named stall-*.json.
-- Reports are read as they are; those of version 1 have no `incident` and are left out.

CREATE VIEW reports AS
SELECT *
FROM read_json('stall-*.json', union_by_name = true, maximum_object_size = 268435456, sample_size = -1)
WHERE incident IS NOT NULL;

CREATE VIEW incidents AS
SELECT incident.* FROM reports;

-- What it was, how often.
SELECT kind, severity, count(*) AS reports
FROM incidents
GROUP BY ALL
ORDER BY reports DESC, kind;

-- Who waited most: the worst workloads, VMs first, with the time they lost.
SELECT a.kind, a.namespace, a.name, count(*) AS incidents, round(sum(a.lost_ns) / 1e9, 3) AS lost_s
FROM incidents, unnest(affected) AS t(a)
GROUP BY a.kind, a.namespace, a.name
ORDER BY a.kind = 'vm' DESC, lost_s DESC
LIMIT 20;

-- Who did it: by systemd unit, else by name.
SELECT coalesce(c.unit, c.name) AS culprit, i.kind, count(*) AS incidents, round(avg(c.share), 3) AS mean_share
FROM incidents AS i, unnest(i.culprits) AS t(c)
GROUP BY ALL
ORDER BY incidents DESC, culprit
LIMIT 20;

-- Trims by node and hour (UTC), whether they did harm or not.
SELECT r.host.hostname AS node, date_trunc('hour', r."window"."start") AS hour, d.origin, sum(d.ops) AS discards,
       round(sum(d.bytes) / 1e9, 1) AS gb, max(d.slowest_ns) / 1e6 AS slowest_ms
FROM reports AS r, unnest(r.discards) AS t(d)
GROUP BY ALL
ORDER BY discards DESC
LIMIT 20;

-- Disks by their 99th percentile, reads and writes, in the worst window.
SELECT r.host.hostname AS node, d.id AS device, d.model, o.op, max(o.total.p99_ns) / 1e6 AS worst_p99_ms, sum(o.ops) AS requests
FROM reports AS r, unnest(r.devices) AS t(d), unnest(d.operations) AS u(o)
WHERE o.op IN ('read', 'write')
GROUP BY ALL
ORDER BY worst_p99_ms DESC NULLS LAST
LIMIT 20;
