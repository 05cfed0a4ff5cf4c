#!/usr/bin/env python3
"""Writes geo_table.c: where simulated hosts stand and how long light in fibre takes between them.

usage: geo_gen.py [zone1970.tab] > geo_table.c

Coordinates come from tzdata's zone1970.tab (public domain). The weights and the two numbers of the inflation are fitted so that the rows
LAT.pl.* of tests/bench/published.tsv hold (test_geo measures them): PlanetLab's machines were in universities, most of them in Europe and
at the east coast of North America."""
import math
import re
import statistics
import sys

EARTH_KM = 6371.0
FIBRE_KM_PER_MS = 299.792458 * 2 / 3
ASIN_STEPS = 1024
QUANTILES = 256
INFLATION_MEDIAN, INFLATION_SIGMA = 1.98, 0.11

# Shares of the hosts: of a region, and of its places.
REGIONS = [
    (380, {"America/New_York": 5, "America/Toronto": 1, "America/Chicago": 2}),
    (113, {"America/Los_Angeles": 5, "America/Denver": 1}),
    (640, {"Europe/Berlin": 4, "Europe/Paris": 3, "Europe/London": 3, "Europe/Madrid": 1, "Europe/Rome": 2, "Europe/Zurich": 2,
           "Europe/Brussels": 2, "Europe/Warsaw": 2, "Europe/Prague": 1, "Europe/Vienna": 1, "Europe/Lisbon": 1, "Europe/Athens": 1,
           "Europe/Helsinki": 1, "Asia/Jerusalem": 1}),
    (70, {"Asia/Tokyo": 4, "Asia/Seoul": 2}),
    (40, {"Asia/Shanghai": 3, "Asia/Hong_Kong": 1, "Asia/Taipei": 2}),
    (56, {"Asia/Singapore": 2, "Asia/Kolkata": 1}),
    (68, {"Australia/Sydney": 2, "Pacific/Auckland": 2}),
    (72, {"America/Sao_Paulo": 3, "America/Argentina/Buenos_Aires": 1}),
]


def degrees(text):
    sign, digits = (-1 if text[0] == "-" else 1), text[1:]
    whole = 2 if len(digits) in (4, 6) else 3
    value = int(digits[:whole]) + int(digits[whole:whole + 2]) / 60
    if len(digits) > whole + 2:
        value += int(digits[whole + 2:]) / 3600
    return sign * value


def places(path):
    out = {}
    with open(path, encoding="utf-8") as f:
        for line in f:
            if line.startswith("#"):
                continue
            _, where, name = line.rstrip("\n").split("\t")[:3]
            lat, lon = re.fullmatch(r"([+-]\d+)([+-]\d+)", where).groups()
            out[name] = (math.radians(degrees(lat)), math.radians(degrees(lon)))
    return out


def array(values, per_line):
    lines = [", ".join(values[i:i + per_line]) for i in range(0, len(values), per_line)]
    return ",\n".join("    " + line for line in lines) + ","


def main():
    where = places(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/zoneinfo/zone1970.tab")
    cities, share = [], 0.0
    for weight, members in REGIONS:
        for name, part in members.items():
            lat, lon = where[name]
            share += weight * part / sum(members.values())
            x, y, z = math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)
            cities.append('{"%s", %d, %d, %d, %d}' % (name.split("/")[-1], round(x * 1e6), round(y * 1e6), round(z * 1e6), round(share)))
    normal = statistics.NormalDist()
    inflation = [max(1000, round(1000 * INFLATION_MEDIAN * math.exp(
        INFLATION_SIGMA * normal.inv_cdf(min(max(i / QUANTILES, 0.5 / QUANTILES), 1 - 0.5 / QUANTILES))))) for i in range(QUANTILES + 1)]
    fibre = [round(1000 * 2 * 2 * EARTH_KM * math.asin(i / ASIN_STEPS) / FIBRE_KM_PER_MS) for i in range(ASIN_STEPS + 1)]
    print("// Made by geo_gen.py from tzdata's zone1970.tab: see there.")
    print('#include "sim/geo.h"\n')
    print("const struct geo_city geo_cities[] = {\n%s\n};" % array(cities, 2))
    print("const uint32_t geo_cities_n = ARRAY_LEN(geo_cities);\n")
    print("// Thousandths, by chance in 256ths: log-normal.")
    print("const uint16_t geo_inflation[GEO_QUANTILES + 1] = {\n%s\n};\n" % array([str(v) for v in inflation], 20))
    print("// Microseconds there and back along the great circle, by half the chord in 1024ths of the radius.")
    print("const uint32_t geo_fibre_us[GEO_ASIN_STEPS + 1] = {\n%s\n};" % array([str(v) for v in fibre], 18))


main()
