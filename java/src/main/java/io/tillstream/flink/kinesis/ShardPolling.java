package io.tillstream.flink.kinesis;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.apache.flink.connector.base.source.reader.RecordsBySplits;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsChange;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.kinesis.model.ExpiredIteratorException;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.InvalidArgumentException;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;

/**
 * Polls the shards of one reader, each at its own pace: a shard gives five reads a second to all who
 * poll it.
 */
final class ShardPolling implements SplitReader<Record, Shard> {
    private final Stream stream;
    private final Stream.Calls calls;
    private final long everyNanos;
    private final int mostRecords;
    private final Map<String, Polled> shards = new LinkedHashMap<>();
    private final Lag lag;
    private boolean woken; // guarded by this

    /** How far a reader's furthest shard is behind the newest record, ms; -1 while unknown. */
    static final class Lag {
        volatile long ms = -1;
    }

    private static final class Polled {
        Shard shard;
        String iterator;
        long dueNanos = System.nanoTime();
        long behindMs = -1;
        final Patience patience;

        Polled(Shard shard) {
            this.shard = shard;
            patience = new Patience("shard " + shard.id + " of " + shard.stream + " cannot be read");
        }
    }

    ShardPolling(Stream stream, long everyMs, int mostRecords, Lag lag) {
        this.stream = stream;
        this.lag = lag;
        this.everyNanos = TimeUnit.MILLISECONDS.toNanos(everyMs);
        this.mostRecords = mostRecords;
        calls = stream.open();
    }

    @Override
    public RecordsWithSplitIds<Record> fetch() throws IOException {
        RecordsBySplits.Builder<Record> out = new RecordsBySplits.Builder<>();
        Polled polled = next();
        if (polled == null || !waited(polled.dueNanos)) {
            return out.build();
        }
        GetRecordsResponse got = ask(polled);
        if (got != null) {
            take(polled, got, out);
        }
        return out.build();
    }

    private Polled next() {
        Polled first = null;
        for (Polled one : shards.values()) {
            if (first == null || one.dueNanos - first.dueNanos < 0) {
                first = one;
            }
        }
        return first;
    }

    /** Whether nobody woke it before. */
    private synchronized boolean waited(long untilNanos) {
        try {
            long left;
            while (!woken && (left = untilNanos - System.nanoTime()) > 0) {
                TimeUnit.NANOSECONDS.timedWait(this, left);
            }
        } catch (InterruptedException stop) {
            Thread.currentThread().interrupt();
            return false;
        }
        boolean undisturbed = !woken;
        woken = false;
        return undisturbed;
    }

    @Override
    public synchronized void wakeUp() {
        woken = true;
        notifyAll();
    }

    /** Null where it is to be tried again. */
    private GetRecordsResponse ask(Polled polled) throws IOException {
        polled.dueNanos = System.nanoTime() + everyNanos;
        try {
            if (polled.iterator == null) {
                polled.iterator = calls.iterator(polled.shard);
            }
            GetRecordsResponse got = calls.records(polled.iterator, mostRecords);
            polled.patience.worked();
            return got;
        } catch (ExpiredIteratorException late) {
            polled.iterator = null;
        } catch (ResourceNotFoundException | InvalidArgumentException gone) {
            if (stream.mayBeGone.contains(polled.shard.id)) {
                return goOn(polled, gone instanceof ResourceNotFoundException);
            }
            throw new IOException(
                    "the Kinesis stream " + stream.name + " does not know " + polled.shard
                            + ": it was trimmed, or created again. `tillstream job restore` says what is "
                            + "lost and what to do",
                    gone);
        } catch (SdkException problem) {
            if (!Stream.mayPass(problem)) {
                throw new IOException("shard " + polled.shard + " cannot be read", problem);
            }
            polled.dueNanos += TimeUnit.MILLISECONDS.toNanos(polled.patience.failed(problem));
        }
        return null;
    }

    /** Where that was accepted: a shard that is gone is at its end, any other begins again. */
    private GetRecordsResponse goOn(Polled polled, boolean gone) {
        polled.iterator = null;
        polled.shard = Shard.unread(stream.name, polled.shard.id, polled.shard.parents);
        return gone ? GetRecordsResponse.builder().build() : null;
    }

    private void take(Polled polled, GetRecordsResponse got, RecordsBySplits.Builder<Record> out) {
        String id = polled.shard.id;
        for (Record record : got.records()) {
            out.add(id, record);
        }
        if (!got.records().isEmpty()) {
            Record last = got.records().get(got.records().size() - 1);
            polled.shard = polled.shard.after(last.sequenceNumber());
        }
        if (got.millisBehindLatest() != null) {
            polled.behindMs = got.millisBehindLatest();
        }
        polled.iterator = got.nextShardIterator();
        if (polled.iterator == null) {
            shards.remove(id);
            out.addFinishedSplit(id);
        }
        lag.ms = shards.values().stream().mapToLong(one -> one.behindMs).max().orElse(-1);
    }

    @Override
    public void handleSplitsChanges(SplitsChange<Shard> change) {
        change.splits().forEach(shard -> shards.put(shard.id, new Polled(shard)));
    }

    @Override
    public void close() {
        calls.close();
    }
}
