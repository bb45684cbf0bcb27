/**
 * A Kinesis stream as a source of Flink, read by polling.
 *
 * <p>Of a resharded stream a shard is read when all of its parents are read to their ends, so records
 * of one key stay in order. Its state is JSON text: see {@link Shard} and {@link ShardPlan}.
 */
package io.tillstream.flink.kinesis;
