"""All benchmarks, one after the other, and the page that tells of them.

``python -m benchmarks`` runs all; ``python -m benchmarks warm_batch scale`` runs these, and writes the page
anew with what was kept of the others.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from benchmarks.harness.answers import print_answer
from benchmarks.harness.page import PAGE, PICTURES, QUESTIONS, read_answers, render_page, save_answer
from benchmarks.harness.plots import draw


def main(arguments: Sequence[str]) -> int:
    unknown = set(arguments) - set(QUESTIONS)
    if unknown:
        print(f"There is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(QUESTIONS)}.")
        return 2
    missed = 0
    for name in arguments or QUESTIONS:
        answer = import_module(f"benchmarks.{name}").answer()
        print_answer(answer)
        save_answer(answer)
        missed += sum(not bar.met for bar in answer.bars)
        PICTURES.mkdir(exist_ok=True)
        for plot in answer.plots:
            (PICTURES / f"{plot.name}.svg").write_text(draw(plot), encoding="utf-8")
    PAGE.write_text(render_page(read_answers()), encoding="utf-8")
    print(f"{missed} bars are missed." if missed else "All bars are met.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
