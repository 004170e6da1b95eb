/**
 * Answers: has everybody outside who should know been told? Follows the audit trail and sends it to
 * files, webhooks and log servers, each at its own pace. Called by nobody: it has threads of its
 * own. Must never hold up what writes the trail, nor move on before a receiver has taken what was
 * sent.
 */
@NullMarked
package io.valetkey.broker.sink;

import org.jspecify.annotations.NullMarked;
