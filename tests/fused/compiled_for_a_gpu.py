"""Compiles the kernels of Triton for an NVIDIA GPU of capability 9.0, which needs none: prints the name of each."""

from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, compile

from neurode.fused.triton import kernels
from neurode.fused.triton.device_solve import LAUNCH

FORM = ((1, 0), (0.0, 0.0), (0, 1, 2), (3, 3), (1.0, 1.0), 1.0, 0.0)
SETTINGS = {"FIELD": FORM, "B": 16, "P": 16, "K": 7, "DEGREE": 4}
OWN = {
    "one_attempt": {"FSAL": True},
    "many_steps": {"ORDER": 5, "FSAL": True, "ADAPTIVE": True, "WATCHED": True, "KEEP": True},
    "steps_back": {},
}
DOUBLES = {"clock", "begins", "times", "log_begin", "log_end", "mesh", "law", "tableau", "span", "signs"}
WHOLE = {"books", "following_at"}
STATES = {
    "y_at", "y1_at", "stages", "values", "log", "weights", "terms", "squares", "y_bar_at", "bars", "kept", "values_bar",
    "weights_bar", "terms_bar",
}  # fmt: skip


def kind(name: str, constants: dict) -> str:
    """The type of an argument, as Triton writes it."""
    if name in constants:
        return "constexpr"
    return "*fp64" if name in DOUBLES else "*i32" if name in WHOLE else "*fp32" if name in STATES else "i32"


for kernel, own in OWN.items():
    function, constants = getattr(kernels, kernel), SETTINGS | own
    source = ASTSource(function, {name: kind(name, constants) for name in function.arg_names}, constants)
    assert compile(source, target=GPUTarget("cuda", 90, 32), options=LAUNCH).asm["cubin"]
    print(kernel)
