"""What this library and its peers do with odd input: `make odd-inputs` writes docs/odd-inputs.md.

cases       the inputs, as data
answers     what is right of each, by the definition in roipool.reference
contenders  how each operator of each library is called, in the library's own Python
child       runs one case in a process of its own, which may crash, hang or grow
parent      asks children, with limits of time and memory
outcomes    what is right, clear, unclear or silent, by rule
page        the tables
"""
