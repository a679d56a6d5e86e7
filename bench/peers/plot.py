"""Bars as SVG, by hand: a plotting library would be the largest thing here."""

from html import escape

WIDTH, PANEL, NAME, BAR, GAP, COLUMNS = 880, 440, 110, 15, 4, 2
COLOURS = {"bare": "#9aa0a6", "peerless": "#d9480f", "other": "#4c78a8"}


def colour(client):
    return COLOURS["bare" if client == "bare" else "peerless" if client.startswith("peerless") else "other"]


def text(x, y, words, size=12, anchor="start", weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
            f'fill="#202124">{escape(words)}</text>')


def panel(x, y, title, rows):
    """One kind of work: a bar for each client, the shortest on top."""
    rows = [(client, row["cpu"]) for client, row in rows.items() if "cpu" in row]
    longest = max(cpu for _, cpu in rows)
    out = [text(x + NAME, y + 14, title, 13, weight="bold")]
    for i, (client, cpu) in enumerate(rows):
        top = y + 22 + i * (BAR + GAP)
        length = max(1, cpu / longest * (PANEL - NAME - 70))
        out += [text(x + NAME - 6, top + 12, client, anchor="end"),
                f'<rect x="{x + NAME}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour(client)}"/>',
                text(x + NAME + length + 5, top + 12, f"{cpu:.2f}")]
    return out, 22 + len(rows) * (BAR + GAP) + 18


def bars(title, table):
    """Two columns of panels. `table` has rows by client by the panel's title."""
    out, heights = [text(WIDTH / 2, 24, title, 16, "middle", "bold")], [40] * COLUMNS
    for name, rows in table.items():
        if any("cpu" in row for row in rows.values()):
            column = heights.index(min(heights))
            drawn, height = panel(column * PANEL, heights[column], name, rows)
            out += drawn
            heights[column] += height
    height = max(heights)
    body = "\n".join(out)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n')
