"""roipool beside its peers, each in a process of its own, interleaved in one run.

    python -m benchmarks                                   peers that this Python can import
    python -m benchmarks --peer mxnet=VENV/bin/python      and one that lives elsewhere
    python -m benchmarks --workload area_8 --peer roipool@1        one thread beside two
    python -m benchmarks --against roipool_torch           ratios to the time of another
    python -m benchmarks.check main                        this tree beside a git revision

A workload is an entry of `workloads.py`, a contender a small file in `contenders/`.
"""
