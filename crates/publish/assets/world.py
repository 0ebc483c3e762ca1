"""Makes world.txt: outlines of countries on a flat map, for figures.

    npm pack world-atlas@2.0.2 i18n-iso-countries@7.14.0    # and unpack both
    python3 world.py WORLD_ATLAS/package ISO/package > world.txt

Outlines are Natural Earth's 4.1.0 at 1:110m (public domain), as world-atlas carries them;
countries that have none at that scale are a dot at the middle of their largest outline at
1:50m. Projected by Equal Earth (Savric, Patterson and Jenny 2018, doi:10.1080/13658816.2018.1504949)
onto whole units; Antarctica is left out.
"""

import json
import math
import sys

WIDTH = 3800
SOUTH = -58.0
A1, A2, A3, A4 = 1.340264, -0.081106, 0.000893, 0.003796
X_MAX = 2.706629984
# Without a number in ISO 3166-1, and its code in common use.
NAMED = {"Kosovo": "XK"}


def project(longitude, latitude):
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    t2 = theta * theta
    t6 = t2**3
    x = (
        2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta)
        / (3 * (9 * A4 * t6 * t2 + 7 * A3 * t6 + 3 * A2 * t2 + A1))
    )
    y = theta * (A4 * t6 * t2 + A3 * t6 + A2 * t2 + A1)
    return x, y


def grid(longitude, latitude):
    x, y = project(longitude, latitude)
    top = project(0, 84)[1]
    scale = WIDTH / (2 * X_MAX)
    return round((x + X_MAX) * scale), round((top - y) * scale)


def decoded(path):
    """Rings of longitudes and latitudes of each country, by number and name."""
    topology = json.load(open(path))
    (kx, ky), (tx, ty) = topology["transform"]["scale"], topology["transform"]["translate"]
    arcs = []
    for arc in topology["arcs"]:
        x = y = 0
        points = []
        for dx, dy in arc:
            x, y = x + dx, y + dy
            points.append((x * kx + tx, y * ky + ty))
        arcs.append(points)

    def ring(indices):
        points = []
        for index in indices:
            arc = arcs[index] if index >= 0 else arcs[~index][::-1]
            points.extend(arc if not points else arc[1:])
        return points

    for country in topology["objects"]["countries"]["geometries"]:
        many = country["arcs"] if country["type"] == "MultiPolygon" else [country["arcs"]]
        rings = [ring(indices) for polygon in many for indices in polygon]
        yield country.get("id"), country["properties"]["name"], rings


def area(points):
    pairs = zip(points, points[1:] + points[:1])
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in pairs)) / 2


def middle(points):
    return tuple(round(sum(p[axis] for p in points) / len(points)) for axis in (0, 1))


def unwrapped(ring):
    """A ring over the 180th meridian, its longitudes in one run."""
    points, shift = [ring[0]], 0
    for before, point in zip(ring, ring[1:]):
        step = point[0] - before[0]
        shift += 360 * (step < -180) - 360 * (step > 180)
        points.append((point[0] + shift, point[1]))
    return points


def beside(points, meridian, east):
    """The part of a closed ring on one side of a meridian (Sutherland and Hodgman 1974)."""
    inside = lambda p: p[0] >= meridian if east else p[0] <= meridian
    kept = []
    for a, b in zip(points, points[1:] + points[:1]):
        if inside(a):
            kept.append(a)
        if inside(a) != inside(b):
            share = (meridian - a[0]) / (b[0] - a[0])
            kept.append((meridian, a[1] + share * (b[1] - a[1])))
    return kept


def cut(rings):
    """Rings that lie between the meridians of 180 degrees west and east."""
    for ring in rings:
        points = unwrapped(ring)
        for west in (-540, -180, 180):
            part = beside(beside(points, west, True), west + 360, False)
            if len(part) > 2:
                part = [(longitude - west - 180, latitude) for longitude, latitude in part]
                yield part + part[:1]


def flat(rings):
    for ring in cut(rings):
        if max(latitude for _, latitude in ring) < SOUTH:
            continue
        points = []
        for longitude, latitude in ring:
            point = grid(longitude, latitude)
            if not points or point != points[-1]:
                points.append(point)
        if len(points) > 3:
            yield points


def main():
    atlas, iso = sys.argv[1:]
    codes = {number: two for two, _, number, *_ in json.load(open(f"{iso}/codes.json"))}
    code = lambda number, name: NAMED.get(name) or codes.get(number)
    shapes, dots = {}, {}
    for number, name, rings in decoded(f"{atlas}/countries-110m.json"):
        for points in flat(rings):
            shapes.setdefault(code(number, name) or "-", []).append(points)
    for number, name, rings in decoded(f"{atlas}/countries-50m.json"):
        two = code(number, name)
        if two and two not in shapes:
            projected = [[grid(*p) for p in ring] for ring in rings]
            dots[two] = middle(max(projected, key=area))
    bottom = max(y for rings in shapes.values() for ring in rings for _, y in ring)
    print("# Natural Earth 4.1.0 (public domain) by world.py; Equal Earth.")
    print(f"size {WIDTH} {bottom + 10}")
    for two, rings in sorted(shapes.items()):
        lines = []
        for ring in rings:
            steps = [ring[0]] + [
                (b[0] - a[0], b[1] - a[1]) for a, b in zip(ring, ring[1:])
            ]
            lines.append(" ".join(f"{x} {y}" for x, y in steps))
        print(f"shape {two} " + " | ".join(lines))
    for two, (x, y) in sorted(dots.items()):
        if y < bottom:
            print(f"dot {two} {x} {y}")


main()
