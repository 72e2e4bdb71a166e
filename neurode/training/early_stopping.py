"""Early stopping: which epoch was best on the held-out data, and when to give up."""

from math import inf


class EarlyStopping:
    """Keeps the best validation loss; is done after `patience` epochs without a better one (None: never)."""

    def __init__(self, patience: int | None):
        self.patience = patience
        self.best_loss, self.best_epoch = inf, 0

    def update(self, epoch: int, loss: float) -> bool:
        """Take in the validation loss of `epoch`; says whether it is the best so far."""
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, epoch
            return True
        return False

    def reason_to_stop(self, epoch: int) -> str | None:
        """A sentence when patience is at its end after `epoch`, else None."""
        if self.patience is None or self.best_epoch == 0 or epoch - self.best_epoch < self.patience:
            return None
        return (
            f"The validation loss has not improved for {epoch - self.best_epoch} epochs "
            f"(best {self.best_loss:.6g} at epoch {self.best_epoch})."
        )

    def state(self) -> dict[str, float | int]:
        return {"best_loss": self.best_loss, "best_epoch": self.best_epoch}

    def load(self, state: dict) -> None:
        self.best_loss, self.best_epoch = state["best_loss"], state["best_epoch"]
