/**
 * What PyFlink lacks to speak to Kinesis, Kafka, DynamoDB and S3 the way Tillstream wants it.
 *
 * <p>Streams between Python and these classes are of two kinds only: the envelope {@code Row(key
 * STRING, value BYTES)} that sources emit, and UTF-8 JSON objects as {@code byte[]} that sinks
 * take. Business rules are not here.
 */
package io.tillstream.flink;
