package io.valetkey.broker.access;

import io.valetkey.broker.policy.ApprovalTerms;

/**
 * That a request may be carried out only once somebody has approved this very request.
 *
 * @param scope the scope that says so
 * @param grant the grant that grants the scope
 * @param terms on which terms
 */
public record NeededApproval(String scope, String grant, ApprovalTerms terms) {}
