"""The flow policy as a kind."""

from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.modeling_flow import FlowPolicy
from etude.policies.flow.processor_flow import make_flow_pre_post_processors
from etude.policies.kind import PolicyKind

FLOW = PolicyKind(
    name="flow",
    config=FlowConfig,
    make=FlowPolicy,
    processors=make_flow_pre_post_processors,
    takes_noise=True,
    raw_images=True,
)
