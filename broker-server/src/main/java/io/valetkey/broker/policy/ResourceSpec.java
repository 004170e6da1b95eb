package io.valetkey.broker.policy;

/** What the platform team wrote about one resource; the kinds are {@link ResourceKind}. */
public sealed interface ResourceSpec
    permits IssuerSpec, AgentSpec, DestinationSpec, ScopeSpec, GrantSpec, SignalRuleSpec {}
