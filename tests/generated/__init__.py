"""Calls made of choices, right and wrong ones, and what must come of them.

choices.py           where choices come from: a fuzzer's bytes, or hypothesis
guarded.py           arrays between pages that nobody may touch
kernel_calls.py      any call of any kernel, at the native entry
kernel_answers.py    what kernels give, by their formulas
operator_calls.py    any call of any public operator, at any door
fuzz.py              the same, guided by the coverage of the native core (make fuzz)
"""
