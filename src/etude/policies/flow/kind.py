"""The flow policy as a kind."""

from etude.policies.chunked.processing import make_processors
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.modeling_flow import FlowPolicy
from etude.policies.kind import PolicyKind
from etude.policies.scoring.flow import FlowScorable

FLOW = PolicyKind(
    name="flow",
    config=FlowConfig,
    make=FlowPolicy,
    processors=make_processors,
    takes_noise=True,
    raw_images=True,
    scorable=FlowScorable,
)
