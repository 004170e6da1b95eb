/**
 * Answers: what do sensors and identity providers see of an agent, and does it end the agent's
 * access? Called by the admin API with what they send, and by issuance with the pods that get
 * tokens. Must never keep the text of an event, nor stop anything that no rule names.
 */
@NullMarked
package io.valetkey.broker.signal;

import org.jspecify.annotations.NullMarked;
