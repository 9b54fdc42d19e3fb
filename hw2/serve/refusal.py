"""What the server answers when it cannot do what a request asks."""


class Refusal(Exception):
    """A request that is refused, with a status of HTTP.

    Attributes:
      status: The status.
      message: For people: what is wrong, and what to do.
    """

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status, self.message = status, message
