package io.tillstream.flink;

import java.io.IOException;
import java.io.Serializable;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.apache.flink.api.connector.sink2.InitContext;
import org.apache.flink.api.connector.sink2.Sink;
import org.apache.flink.api.connector.sink2.SinkWriter;
import org.apache.flink.api.connector.sink2.StatefulSinkWriter;
import org.apache.flink.api.connector.sink2.SupportsWriterState;
import org.apache.flink.api.connector.sink2.WriterInitContext;
import org.apache.flink.core.io.SimpleVersionedSerializer;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.core.retry.RetryPolicy;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClientBuilder;

/**
 * JSON objects to DynamoDB, one item per key: the newest version wins, whatever the order of
 * arrival.
 *
 * <p>Each subtask keeps the newest version of each key until it is written, so a hot key costs one
 * request for many updates. A request is conditional: it does not replace a newer version. An equal
 * version is replaced, for after a restore the replayed one is the truth. What a checkpoint does not
 * find written is kept in it and written after a restore, so nothing is lost and a slow table does not
 * hold up checkpoints; a full buffer slows the job down.
 *
 * <p>An item whose record is old, as in a replay, may wait for half of that age (at most
 * {@code heldMs}) for newer versions of it, but no longer than until the job is up to date.
 *
 * <p>Fluent: {@code new HotItemSink(table, region).endpoint(..).attribute(..).key(..).version(..)}.
 */
public final class HotItemSink implements Sink<byte[]>, SupportsWriterState<byte[], byte[]> {
    private static final long serialVersionUID = 1L;

    /** A JSON field and the attribute it becomes; type S or N. */
    static final class Attribute implements Serializable {
        private static final long serialVersionUID = 1L;
        final String field;
        final String name;
        final boolean number;

        Attribute(String field, String name, boolean number) {
            this.field = field;
            this.name = name;
            this.number = number;
        }
    }

    final String table;
    final String region;
    final List<Attribute> attributes = new ArrayList<>();
    String endpoint;
    boolean basicCredentials;
    boolean merge;
    int keyPosition = -1;
    int versionPosition = -1;
    int inFlight = 32;
    int bufferedItems = 20_000;
    int attempts = 12;
    int requestTimeoutMs = 5_000;
    long heldMs = 0;

    public HotItemSink(String table, String region) {
        this.table = table;
        this.region = region;
    }

    /** Null: AWS's own. */
    public HotItemSink endpoint(String url) {
        this.endpoint = url;
        return this;
    }

    /** Dummy credentials, for a local stand-in. Otherwise the SDK's default chain decides. */
    public HotItemSink basicCredentials() {
        this.basicCredentials = true;
        return this;
    }

    /** JSON field {@code field} becomes attribute {@code name} of {@code type} S or N. */
    public HotItemSink attribute(String field, String name, String type) {
        if (!type.equals("S") && !type.equals("N")) {
            throw new IllegalArgumentException("attribute type must be S or N, not " + type);
        }
        attributes.add(new Attribute(field, name, type.equals("N")));
        return this;
    }

    /**
     * A newer version changes only what it brings: a field that is not there leaves its attribute as
     * it is, one that is null removes it. Without this an item is replaced whole.
     */
    public HotItemSink merge() {
        this.merge = true;
        return this;
    }

    /** The attribute that is the table's hash key. */
    public HotItemSink key(String attribute) {
        this.keyPosition = position(attribute);
        return this;
    }

    /** The attribute that orders the versions of an item: a whole number. */
    public HotItemSink version(String attribute) {
        this.versionPosition = position(attribute);
        return this;
    }

    /**
     * @param inFlight requests at once, per subtask
     * @param bufferedItems keys waiting per subtask before the job is slowed down
     * @param attempts tries per request before the job fails
     * @param requestTimeoutMs time-out of one try, in milliseconds
     */
    public HotItemSink limits(int inFlight, int bufferedItems, int attempts, int requestTimeoutMs) {
        if (inFlight < 1 || bufferedItems < inFlight || attempts < 1 || requestTimeoutMs < 1) {
            throw new IllegalArgumentException(
                    "dynamodb: in_flight, attempts and request_timeout_ms must be at least 1, and"
                            + " buffered_items at least in_flight");
        }
        this.inFlight = inFlight;
        this.bufferedItems = bufferedItems;
        this.attempts = attempts;
        this.requestTimeoutMs = requestTimeoutMs;
        return this;
    }

    /** How long an item of an old record may wait at most for newer ones; 0: not at all. */
    public HotItemSink held(long ms) {
        if (ms < 0) {
            throw new IllegalArgumentException("dynamodb: replay_hold_ms must not be below 0");
        }
        this.heldMs = ms;
        return this;
    }

    @Override
    public SinkWriter<byte[]> createWriter(WriterInitContext context) throws IOException {
        return restoreWriter(context, List.of());
    }

    @Override
    public StatefulSinkWriter<byte[], byte[]> restoreWriter(
            WriterInitContext context, Collection<byte[]> unwritten) throws IOException {
        if (keyPosition < 0 || versionPosition < 0) {
            throw new IllegalStateException("a hot item needs a key and a version attribute");
        }
        return new HotItemWriter(
                this, client(), context.metricGroup(), context.getMailboxExecutor(), unwritten);
    }

    @Override
    public SimpleVersionedSerializer<byte[]> getWriterStateSerializer() {
        return new HotItem.StateFormat();
    }

    /**
     * Flink 1.x's older entry, which it no longer calls.
     *
     * <p>Its parameter is the interface's own nested type there; in 2.x, which has no such entry, the
     * same word means the imported one. So this compiles against both.
     */
    @SuppressWarnings("deprecation")
    public SinkWriter<byte[]> createWriter(InitContext context) throws IOException {
        throw new UnsupportedOperationException("needs Flink 1.19 or newer");
    }

    String where() {
        return "DynamoDB table '" + table + "' at " + (endpoint == null ? region : endpoint);
    }

    private DynamoDbClient client() {
        AwsCredentialsProvider credentials =
                basicCredentials
                        ? StaticCredentialsProvider.create(AwsBasicCredentials.create("local", "local"))
                        : DefaultCredentialsProvider.create();
        Duration timeout = Duration.ofMillis(requestTimeoutMs);
        DynamoDbClientBuilder builder =
                DynamoDbClient.builder()
                        .region(Region.of(region))
                        .credentialsProvider(credentials)
                        .httpClientBuilder(
                                ApacheHttpClient.builder()
                                        .maxConnections(inFlight)
                                        .connectionTimeout(timeout)
                                        .socketTimeout(timeout))
                        // The writer retries: it can pick up a newer version between two tries.
                        .overrideConfiguration(
                                c -> c.retryPolicy(RetryPolicy.none()).apiCallAttemptTimeout(timeout));
        if (endpoint != null) {
            builder.endpointOverride(URI.create(endpoint));
        }
        return builder.build();
    }

    private int position(String attribute) {
        for (int i = 0; i < attributes.size(); i++) {
            if (attributes.get(i).name.equals(attribute)) {
                return i;
            }
        }
        throw new IllegalArgumentException("no attribute '" + attribute + "' was declared");
    }
}
