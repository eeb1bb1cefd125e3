"""How large are the packages that Lambda loads?

Run: ``nox -s bench -- package_size``, or ``python -m benchmarks.package_size``.

Bytes of the zips as `nox -s package` builds them, and of what each package takes up in them.
"""

import zipfile
from collections import defaultdict

from benchmarks.harness.answers import Answer, Bar, Table, print_answer
from outbox_sdk.core.function import ARCHITECTURES
from outbox_sdk.packaging import find_package


def answer() -> Answer:
    packages = {name: find_package(name) for name in ARCHITECTURES}
    sizes: dict[str, dict[str, int]] = {name: defaultdict(int) for name in packages}
    for name, path in packages.items():
        with zipfile.ZipFile(path) as package:
            for entry in package.infolist():
                sizes[name][entry.filename.partition("/")[0]] += entry.compress_size
    tops = sorted(set().union(*sizes.values()), key=lambda top: -sizes["x86_64"][top])
    large = [top for top in tops if sizes["x86_64"][top] >= 20_000]
    rows = [(top, *(f"{sizes[name][top]:,}" for name in packages)) for top in large]
    rest = [f"{sum(size for top, size in sizes[name].items() if top not in large):,}" for name in packages]
    totals = [f"{path.stat().st_size:,}" for path in packages.values()]
    question, _, method = (__doc__ or "").partition("\n\n")
    return Answer(
        name="package_size",
        question=question,
        method=method,
        bars=tuple(
            Bar(what=f"the zip for {name}", value=path.stat().st_size / 1e6, sense="≤", bar=3, unit="MB")
            for name, path in packages.items()
        ),
        tables=(
            Table(
                title="Bytes, compressed",
                headers=("package", *packages),
                rows=(*rows, ("all others", *rest), ("the zip", *totals)),
            ),
        ),
    )


if __name__ == "__main__":
    print_answer(answer())
