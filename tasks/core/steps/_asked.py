"""A served model as parity asks it: over the endpoint of apps, the likeliest token each time."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.core.chat.template import Messages
from tasks.core.evaluation.answer import Endpoint, Options, ask
from tasks.core.parity.served import Said

if TYPE_CHECKING:
    from tasks.core.serving.servers import Server


@dataclass(frozen=True)
class AskedModel:
    """A model on a server, with the methods of parity.served.Asked."""

    server: "Server"
    endpoint: Endpoint
    context: int

    def render(self, messages: Messages) -> str:
        """Returns the prompt text that the model gets for a conversation."""
        return self.server.render(self.endpoint.model, messages)

    def answer(self, messages: Messages, most_tokens: int) -> Said:
        """Returns the reply to a conversation."""
        reply = ask(self.endpoint, messages, options=Options(max_tokens=most_tokens))
        return Said(reply.text, reply.prompt_tokens, reply.finish_reason == "stop")


def asked_model(server: "Server", tag: str, num_ctx: int) -> AskedModel:
    """Returns a model on a server; num_ctx is its context if the server does not say."""
    endpoint = Endpoint.of(server, tag)
    return AskedModel(server, endpoint, endpoint.context_length or num_ctx)
