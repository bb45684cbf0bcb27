package io.tillstream.flink;

import java.io.Serializable;
import java.net.URI;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import software.amazon.awssdk.core.retry.RetryPolicy;
import software.amazon.awssdk.http.apache.ApacheHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbClientBuilder;

/**
 * What {@link HotItemOperator} writes, and where to: JSON objects to DynamoDB, one item per key.
 *
 * <p>Fluent: {@code new HotItemSink(job, table, region).endpoint(..).attribute(..).key(..).version(..)}.
 */
public final class HotItemSink implements Serializable {
    private static final long serialVersionUID = 2L;

    /** What an attribute is a key of: only the table's own must be there. */
    enum Key {
        NONE,
        TABLE_PARTITION,
        TABLE_SORT,
        INDEX_PARTITION,
        INDEX_SORT
    }

    /** A JSON field and the attribute it becomes; type S or N. */
    static final class Attribute implements Serializable {
        private static final long serialVersionUID = 2L;
        final String field;
        final String name;
        final boolean number;
        Key key = Key.NONE;
        /** Whose version counts for it: an index of {@link HotItemSink#versions}. */
        int group;

        Attribute(String field, String name, boolean number) {
            this.field = field;
            this.name = name;
            this.number = number;
        }
    }

    final String job;
    final String table;
    final String region;
    final List<Attribute> attributes = new ArrayList<>();
    /** Attributes that hold versions: the item's, then those of fields with one of their own. */
    final List<String> versions = new ArrayList<>(List.of(""));
    String endpoint;
    boolean basicCredentials;
    boolean merge;
    int keyPosition = -1;
    int versionPosition = -1;
    int inFlight = 32;
    int bufferedItems = 20_000;
    long giveUpAfterMs = 900_000;
    int requestTimeoutMs = 5_000;
    long heldMs = 0;
    long checkpointIntervalMs = -1;

    /** {@code job}: named in dead letters. */
    public HotItemSink(String job, String table, String region) {
        this.job = job;
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

    /** The attribute by which versions are told to be of one item. */
    public HotItemSink key(String attribute) {
        this.keyPosition = position(attribute);
        return this;
    }

    /** The attribute that orders the versions of an item: a whole number. */
    public HotItemSink version(String attribute) {
        this.versionPosition = position(attribute);
        versions.set(0, attribute);
        return this;
    }

    /**
     * Where the sink merges: {@code attribute} has a version of its own, kept in {@code version}. It is
     * written though a newer version of the item is there, if that did not bring it.
     */
    public HotItemSink versionOf(String attribute, String version) {
        if (!versions.contains(version)) {
            versions.add(version);
        }
        attributes.get(position(attribute)).group = versions.indexOf(version);
        return this;
    }

    /** A key of the table, or of an {@code index} of it; checked before DynamoDB refuses the item. */
    public HotItemSink keyed(String attribute, boolean index, boolean sort) {
        Key key = index ? Key.INDEX_PARTITION : Key.TABLE_PARTITION;
        Key sorted = index ? Key.INDEX_SORT : Key.TABLE_SORT;
        attributes.get(position(attribute)).key = sort ? sorted : key;
        return this;
    }

    /**
     * @param inFlight requests at once, per subtask
     * @param bufferedItems keys waiting per subtask before the job is slowed down
     * @param giveUpAfterMs the job fails when nothing at all could be written for so long
     * @param requestTimeoutMs time-out of one try, in milliseconds
     */
    public HotItemSink limits(
            int inFlight, int bufferedItems, long giveUpAfterMs, int requestTimeoutMs) {
        if (inFlight < 1 || bufferedItems < inFlight || giveUpAfterMs < 1 || requestTimeoutMs < 1) {
            throw new IllegalArgumentException(
                    "dynamodb: in_flight, give_up_after_s and request_timeout_ms must be at least 1,"
                            + " and buffered_items at least in_flight");
        }
        this.inFlight = inFlight;
        this.bufferedItems = bufferedItems;
        this.giveUpAfterMs = giveUpAfterMs;
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

    /** How often the job takes checkpoints, in ms; not above 0: never. */
    public HotItemSink checkpoints(long intervalMs) {
        this.checkpointIntervalMs = intervalMs;
        return this;
    }

    /** Throws IllegalStateException unless key and version are declared. */
    public HotItemOperator operator() {
        if (keyPosition < 0 || versionPosition < 0) {
            throw new IllegalStateException("a hot item needs a key and a version attribute");
        }
        return new HotItemOperator(this);
    }

    String where() {
        return "DynamoDB table '" + table + "' at " + (endpoint == null ? region : endpoint);
    }

    DynamoDbClient client() {
        Duration timeout = Duration.ofMillis(requestTimeoutMs);
        DynamoDbClientBuilder builder =
                DynamoDbClient.builder()
                        .region(Region.of(region))
                        .credentialsProvider(AwsCredentials.of(basicCredentials))
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
