"""From the results' lines to tables for people."""

import json
import statistics
import textwrap
from pathlib import Path

import plot
import works

GIB = 1 << 30
BEGIN, END = "<!-- speed: made by bench/peers/run.py report -->", "<!-- end of speed -->"


def read(results):
    """By work and client: the median of every figure over the good runs."""
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    table = {}
    for work in works.ALL:
        rows = {}
        for line in lines:
            if line["work"] == work.name:
                rows.setdefault(line["client"], []).append(line)
        if rows:
            table[work.name] = compare({client: row(runs) for client, runs in rows.items()})
    return table, lines


def row(runs):
    good = [run for run in runs if run["ok"]]
    figures = {"runs": len(runs), "good": len(good), "version": runs[-1]["version"],
               "note": next((run["note"] for run in runs if not run["ok"]), "")}
    if not good:
        return figures

    def median(figure):
        values = [value for run in good if (value := figure(run)) is not None]
        return statistics.median(values) if values else None

    gib = [run["bytes"] / GIB for run in good]
    cpu = [run["cpu"] / size for run, size in zip(good, gib)]
    return figures | {
        "cpu": statistics.median(cpu), "cpu_min": min(cpu), "cpu_max": max(cpu),
        "system": median(lambda run: run["system"] / (run["bytes"] / GIB)),
        "wall": median(lambda run: run["wall"]),
        "wall_gib": median(lambda run: run["wall"] / (run["bytes"] / GIB)),
        "mib_s": median(lambda run: run["bytes"] / 2**20 / run["wall"]),
        "flow": median(lambda run: run.get("flow_mib_s")),
        "first": median(lambda run: run.get("first")),
        "rss": median(lambda run: run["rss_kib"] / 1024), "anon": median(lambda run: run["anon_kib"] / 1024),
    }


def is_ours(client):
    return client.startswith("peerless")


def compare(rows):
    """Adds the ratios to the bare program and to the best of the others."""
    bare = rows.get("bare", {}).get("cpu")
    others = {client: row["cpu"] for client, row in rows.items()
              if "cpu" in row and client != "bare" and not is_ours(client)}
    for row in rows.values():
        if "cpu" in row:
            row["to_bare"] = row["cpu"] / bare if bare else None
            row["to_best"] = row["cpu"] / min(others.values()) if others else None
    return dict(sorted(rows.items(), key=lambda item: item[1].get("cpu", float("inf"))))


def number(value, digits=2):
    return "–" if value is None else f"{value:.{digits}f}"


def full_table(rows):
    out = ["| client | CPU-s/GiB | least to most | in the kernel | × bare | × best other | MiB/s | while data flows "
           "| to first payload, s | peak memory, MiB | of it anonymous | good runs |",
           "| --- | " + " | ".join(["---:"] * 11) + " |"]
    for client, row in rows.items():
        name = f"{client} {row['version']}".strip()
        if "cpu" not in row:
            out.append(f"| {name} | {row['note'] or 'failed'} " + "| " * 9 + f"| 0 of {row['runs']} |")
            continue
        cells = [number(row["cpu"]), f"{row['cpu_min']:.2f} to {row['cpu_max']:.2f}", number(row["system"]),
                 number(row["to_bare"]), number(row["to_best"]), number(row["mib_s"], 0), number(row["flow"], 0),
                 number(row["first"]), number(row["rss"], 0), number(row["anon"], 0),
                 f"{row['good']} of {row['runs']}"]
        out.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(out)


def overview(table, all_cores):
    """One row for each work, one column for each client: CPU time for a GiB, or time if it's on all cores."""
    figure, unit = ("wall_gib", "s/GiB, two cores") if all_cores else ("cpu", "CPU-s/GiB, one core")
    rows = {w.title.split(", two")[0].split(", one")[0]: table[w.name]
            for w in works.ALL if w.name in table and w.all_cores == all_cores}
    clients = [] if all_cores else ["bare"]
    clients += ["peerless"] if all_cores else ["peerless mio", "peerless smol"]
    clients += sorted({c for row in rows.values() for c in row if c != "bare" and not is_ours(c)}, key=str.lower)
    out = [f"| {unit} | " + " | ".join(clients) + " |", "| --- |" + " ---: |" * len(clients)]
    for title, row in rows.items():
        best = min((r[figure] for c, r in row.items() if figure in r and c != "bare"), default=None)
        cells = []
        for client in clients:
            found = row.get(client) or (row.get("peerless") if is_ours(client) else None)
            text = "" if found is None else number(found[figure]) if figure in found else "fails"
            cells.append(f"**{text}**" if found and found.get(figure) == best else text)
        out.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(out) if rows else ""


def figures(table, work):
    """Speed and memory of one work."""
    out = ["| client | MiB/s while data flows | from start to first payload, s | all, s | peak memory, MiB |",
           "| --- | ---: | ---: | ---: | ---: |"]
    for client, row in table[work].items():
        if "cpu" in row:
            cells = [number(row["flow"], 0), number(row["first"]), number(row["wall"]), number(row["rss"], 0)]
            out.append(f"| {client} {row['version']}".rstrip() + " | " + " | ".join(cells) + " |")
    return "\n".join(out)


def head(lines):
    machines = list(dict.fromkeys(line["machine"] for line in lines))
    rounds = max(line["round"] for line in lines) + 1
    quick = " A short run with little payload: read it as a sketch." if any(l["quick"] for l in lines) else ""
    medians = "One round" if rounds == 1 else f"Medians of {rounds} interleaved rounds"
    return textwrap.fill(f"{medians} on {'; '.join(machines)}; data in memory, traffic within the machine, the "
                         f"client under test alone on its cores.{quick}", 100)


def write(results, folder, readme):
    table, lines = read(results)
    names = {w.name: w.title for w in works.ALL}
    one_core = {names[w.name]: table[w.name] for w in works.ALL if w.name in table and not w.all_cores}
    title = "CPU seconds for a GiB (lower is better)"
    (folder / "results.svg").write_text(plot.bars(title, one_core))
    parts = ["# Beside other clients", head(lines), "Made by `run.py report`; README.md says what the columns mean.",
             "![the same as bars](results.svg)"]
    for work, rows in table.items():
        parts += [f"## {names[work][0].upper()}{names[work][1:]}", full_table(rows)]
    (folder / "results.md").write_text("\n\n".join(parts) + "\n")
    if readme:
        section = [head(lines), overview(table, False), overview(table, True)]
        if "download-256" in table:
            section += ["The download with 256 KiB pieces:", figures(table, "download-256")]
        section += ["![CPU seconds for a GiB, as bars](bench/peers/results.svg)"]
        replace(readme, "\n\n".join(filter(None, section)))


def replace(readme, section):
    text = readme.read_text()
    if BEGIN not in text or END not in text:
        raise SystemExit(f"{readme} has no lines {BEGIN} and {END}")
    before, rest = text.split(BEGIN, 1)
    readme.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{rest.split(END, 1)[1]}")
