package io.tillstream.flink;

import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;

/** Who a client of AWS is. */
public final class AwsCredentials {
    private AwsCredentials() {}

    /** The role that the job runs as; {@code basic}: what local stand-ins take. */
    public static AwsCredentialsProvider of(boolean basic) {
        return basic
                ? StaticCredentialsProvider.create(AwsBasicCredentials.create("local", "local"))
                : DefaultCredentialsProvider.create();
    }
}
