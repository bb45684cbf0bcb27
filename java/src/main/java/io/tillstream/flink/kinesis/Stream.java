package io.tillstream.flink.kinesis;

import io.tillstream.flink.AwsCredentials;
import java.io.Serializable;
import java.net.URI;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkSystemSetting;
import software.amazon.awssdk.core.exception.SdkClientException;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.retry.RetryPolicy;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.KinesisClientBuilder;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.GetShardIteratorRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsRequest;
import software.amazon.awssdk.services.kinesis.model.ListShardsResponse;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.StreamDescriptionSummary;

/** A stream's name and address, and the four calls that reading it takes. */
final class Stream implements Serializable {
    private static final long serialVersionUID = 1L;

    private static final long CLOCKS_MS = 60_000; // between ours and the stream's
    private static final Duration CONNECT = Duration.ofSeconds(5);
    private static final Duration ANSWER = Duration.ofSeconds(20);
    private static final long ASK_NANOS = TimeUnit.MINUTES.toNanos(10); // an account has 20 a second

    final String name;
    final String region;
    String endpoint;
    boolean basicCredentials;
    /** Shard to the position of which somebody has accepted that what follows it is gone. */
    final HashMap<String, String> accepted = new HashMap<>();
    /** And of shards that are not read up to then (ms UTC). */
    long acceptedMs;

    Stream(String name, String region) {
        this.name = name;
        this.region = region;
    }

    Calls open() {
        return new Calls();
    }

    /** Whether a later try may do better: it was throttled, failed over there, or got no answer. */
    static boolean mayPass(SdkException problem) {
        if (problem instanceof AwsServiceException) {
            AwsServiceException said = (AwsServiceException) problem;
            return said.isThrottlingException()
                    || said.statusCode() >= 500
                    || said.awsErrorDetails() != null
                            && "LimitExceededException".equals(said.awsErrorDetails().errorCode());
        }
        return problem instanceof SdkClientException;
    }

    /** One client; every call is one try. All throw SdkException. */
    final class Calls implements AutoCloseable {
        private final KinesisClient client;
        private StreamDescriptionSummary summary;
        private long askedNanos;

        private Calls() {
            if (endpoint != null) {
                // A stand-in for Kinesis speaks no CBOR: its records would not be read, and nothing says so.
                System.setProperty(SdkSystemSetting.CBOR_ENABLED.property(), "false");
            }
            KinesisClientBuilder builder =
                    KinesisClient.builder()
                            .region(Region.of(region))
                            .credentialsProvider(AwsCredentials.of(basicCredentials))
                            .httpClientBuilder(
                                    ApacheHttpClient.builder()
                                            .connectionTimeout(CONNECT)
                                            .socketTimeout(ANSWER))
                            .overrideConfiguration(
                                    c -> c.retryPolicy(RetryPolicy.none()).apiCallTimeout(ANSWER));
            if (endpoint != null) {
                builder.endpointOverride(URI.create(endpoint));
            }
            client = builder.build();
        }

        List<ShardPlan.Listed> shards() {
            List<ShardPlan.Listed> out = new ArrayList<>();
            String more = null;
            do {
                ListShardsRequest.Builder asked = ListShardsRequest.builder();
                ListShardsResponse answer =
                        client.listShards(
                                (more == null ? asked.streamName(name) : asked.nextToken(more)).build());
                answer.shards()
                        .forEach(
                                one -> {
                                    List<String> parents = new ArrayList<>();
                                    if (one.parentShardId() != null) {
                                        parents.add(one.parentShardId());
                                    }
                                    if (one.adjacentParentShardId() != null) {
                                        parents.add(one.adjacentParentShardId());
                                    }
                                    boolean closed =
                                            one.sequenceNumberRange().endingSequenceNumber() != null;
                                    out.add(new ShardPlan.Listed(one.shardId(), parents, closed));
                                });
                more = answer.nextToken();
            } while (more != null);
            return out;
        }

        /** What arrived at or after this time (ms UTC) is kept, as far as can be known. */
        long oldestMs(long nowMs) {
            if (summary == null || System.nanoTime() - askedNanos > ASK_NANOS) {
                summary =
                        client.describeStreamSummary(asked -> asked.streamName(name))
                                .streamDescriptionSummary();
                askedNanos = System.nanoTime();
            }
            long keptMs = TimeUnit.HOURS.toMillis(summary.retentionPeriodHours());
            return Math.max(summary.streamCreationTimestamp().toEpochMilli() - CLOCKS_MS, nowMs - keptMs);
        }

        /** For what follows the shard's position; {@code with} the record there, if that is kept. */
        String iterator(Shard shard, boolean with) {
            GetShardIteratorRequest.Builder asked =
                    GetShardIteratorRequest.builder().streamName(name).shardId(shard.id);
            if (shard.after != null) {
                asked.shardIteratorType(
                                with
                                        ? ShardIteratorType.AT_SEQUENCE_NUMBER
                                        : ShardIteratorType.AFTER_SEQUENCE_NUMBER)
                        .startingSequenceNumber(shard.after);
            } else if (shard.sinceMs != 0) {
                asked.shardIteratorType(ShardIteratorType.AT_TIMESTAMP)
                        .timestamp(Instant.ofEpochMilli(shard.sinceMs));
            } else {
                asked.shardIteratorType(ShardIteratorType.TRIM_HORIZON);
            }
            return client.getShardIterator(asked.build()).shardIterator();
        }

        GetRecordsResponse records(String iterator, int most) {
            return client.getRecords(asked -> asked.shardIterator(iterator).limit(most));
        }

        @Override
        public void close() {
            client.close();
        }
    }
}
