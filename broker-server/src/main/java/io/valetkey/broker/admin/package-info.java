/**
 * Answers: the platform team's questions and orders, as REST. Must never accept an agent's token,
 * nor return a secret.
 */
@NullMarked
package io.valetkey.broker.admin;

import org.jspecify.annotations.NullMarked;
