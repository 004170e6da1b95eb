/**
 * Answers with which credentials the AWS SDK for Java 2 signs its next request. The SDK calls it;
 * the application gives it to its client builders. It must never hand out credentials that are
 * known to have ended.
 */
@NullMarked
package io.valetkey.client.aws;

import org.jspecify.annotations.NullMarked;
