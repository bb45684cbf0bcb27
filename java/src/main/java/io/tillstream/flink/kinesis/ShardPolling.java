package io.tillstream.flink.kinesis;

import java.io.IOException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.flink.connector.base.source.reader.RecordsBySplits;
import org.apache.flink.connector.base.source.reader.RecordsWithSplitIds;
import org.apache.flink.connector.base.source.reader.splitreader.SplitReader;
import org.apache.flink.connector.base.source.reader.splitreader.SplitsChange;
import org.apache.flink.util.clock.Clock;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.kinesis.model.ExpiredIteratorException;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.InvalidArgumentException;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ResourceNotFoundException;

/**
 * Polls the shards of one reader, each at its own pace: a shard gives five reads a second to all who
 * poll it.
 *
 * <p>Kinesis does not say that records after a position were trimmed: AFTER_SEQUENCE_NUMBER of a trimmed
 * record gives an iterator that goes on at the oldest record kept (seen by justtrackio/gosoline#1124 and
 * harlow/kinesis-consumer#125; the API's reference is silent), and so does one that was there before. So
 * each shard's state says up to when all is read. Where the stream keeps only what came later, the record
 * at the position is asked for: if it is still there nothing after it is gone, else the job stops.
 *
 * <p>What the stream keeps may have been raised since it trimmed, which brings nothing back. So whoever starts
 * further behind than any stream keeps at least asks too. There a record that is gone although it is younger
 * than what is kept now says that the stream has trimmed; one that is older says nothing.
 */
public final class ShardPolling implements SplitReader<Record, Shard> {
    private static final Logger LOG = LoggerFactory.getLogger(ShardPolling.class);
    /** Of empty pages, which say only as of when they are. */
    private static final long SLACK_MS = 60_000;
    /** Who begins at the oldest record races with what is trimmed there, until so far ahead of it. */
    private static final long CLEAR_MS = 600_000;
    /** No stream keeps less. */
    private static final long LEAST_KEPT_MS = TimeUnit.HOURS.toMillis(24);
    /** Pages may be empty before the first record: so many are waited for. */
    private static final int LOOKS = 200;

    private final Stream stream;
    private final Stream.Calls calls;
    private final long everyNanos;
    private final int mostRecords;
    private final Map<String, Polled> shards = new LinkedHashMap<>();
    private final Clock clock;
    private final Progress progress;
    private boolean woken; // guarded by this

    /** What a reader knows of its polling. */
    public static final class Progress {
        /** How far the furthest shard is behind the newest record, ms; -1 while unknown. */
        volatile long behindMs = -1;

        private final Map<String, Shard> polled = new ConcurrentHashMap<>();

        /** {@code emitted}, whose last record arrived then, with the time up to which all was handed on. */
        public Shard readTo(Shard emitted, long arrivedMs) {
            Shard last = polled.get(emitted.id);
            if (last == null || last.readToMs == 0) {
                return emitted;
            }
            return emitted.readTo(Objects.equals(last.after, emitted.after) ? last.readToMs : arrivedMs);
        }
    }

    private static final class Polled {
        Shard shard;
        String iterator;
        long dueNanos = System.nanoTime();
        long behindMs = -1;
        /** Pages looked at for the record at the position; -1 where its being kept is in no doubt. */
        int looks = -1;

        long oldestMs; // what the stream kept when it was asked last
        boolean hadRecords; // the last page
        boolean promised; // what is not read is missed
        final Patience patience;

        Polled(Shard shard) {
            this.shard = shard;
            promised = shard.after != null || shard.readToMs != 0;
            patience = new Patience("shard " + shard.id + " of " + shard.stream + " cannot be read");
        }
    }

    ShardPolling(Stream stream, long everyMs, int mostRecords, Clock clock, Progress progress) {
        this.stream = stream;
        this.clock = clock;
        this.progress = progress;
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
        long askedMs = clock.absoluteTimeMillis();
        GetRecordsResponse got = ask(polled, askedMs);
        if (got != null) {
            take(polled, got, askedMs, out);
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
    private GetRecordsResponse ask(Polled polled, long askedMs) throws IOException {
        polled.dueNanos = System.nanoTime() + everyNanos;
        try {
            long oldestMs = polled.oldestMs = calls.oldestMs(askedMs);
            Shard shard = polled.shard;
            long slackMs = polled.iterator == null || polled.hadRecords ? 0 : SLACK_MS;
            boolean late = shard.readToMs != 0 && shard.readToMs + slackMs < oldestMs;
            if (late && shard.after == null) {
                return gone(polled, lost(shard, oldestMs), null);
            }
            if (polled.iterator == null || late && polled.looks < 0) {
                long surelyKeptMs = Math.max(oldestMs, askedMs - LEAST_KEPT_MS);
                boolean doubted = shard.after != null && shard.readToMs < surelyKeptMs;
                if (shard.after == null && shard.readToMs != 0 && shard.readToMs < surelyKeptMs) {
                    LOG.warn("Of {} nobody knows whether records were trimmed unread.", shard);
                }
                polled.iterator = calls.iterator(shard, doubted);
                polled.looks = doubted ? 0 : -1;
            }
            GetRecordsResponse got = calls.records(polled.iterator, mostRecords);
            polled.patience.worked();
            return polled.looks < 0 ? got : proven(polled, got, oldestMs);
        } catch (ExpiredIteratorException late) {
            polled.iterator = null;
        } catch (ResourceNotFoundException | InvalidArgumentException gone) {
            String said =
                    "the Kinesis stream " + stream.name + " does not know " + polled.shard
                            + ": it was trimmed, or created again";
            return gone(polled, said, gone);
        } catch (SdkException problem) {
            if (!Stream.mayPass(problem)) {
                throw new IOException("shard " + polled.shard + " cannot be read", problem);
            }
            polled.dueNanos += TimeUnit.MILLISECONDS.toNanos(polled.patience.failed(problem));
        }
        return null;
    }

    /** What is new on a page that should begin with the record at the position. */
    private GetRecordsResponse proven(Polled polled, GetRecordsResponse got, long oldestMs)
            throws IOException {
        Shard shard = polled.shard;
        boolean known = shard.readToMs != 0;
        boolean missed =
                known && (shard.readToMs < oldestMs || shard.arrivedMs > oldestMs + SLACK_MS);
        if (got.records().isEmpty()) {
            Long behindMs = got.millisBehindLatest();
            boolean nothing = got.nextShardIterator() == null || behindMs != null && behindMs == 0;
            if (!nothing && ++polled.looks < LOOKS) {
                polled.iterator = got.nextShardIterator();
                return null;
            }
            if (missed) {
                return gone(polled, lost(shard, oldestMs), null);
            }
        } else {
            Record first = got.records().get(0);
            if (first.sequenceNumber().equals(shard.after)) {
                polled.looks = -1;
                polled.shard = shard.readTo(first.approximateArrivalTimestamp().toEpochMilli());
                List<Record> rest = got.records().subList(1, got.records().size());
                return got.toBuilder().records(rest).build();
            }
            // Of a state of before nobody knows how old it is. A shard that goes on right where the stream
            // begins has lost what was before that; any other is quiet, or next to it.
            long firstMs = first.approximateArrivalTimestamp().toEpochMilli();
            if (missed || !known && firstMs < oldestMs + CLEAR_MS) {
                return gone(polled, lost(shard, oldestMs), null);
            }
        }
        LOG.warn("{} no longer holds the last record read: whether others are gone is not known.", shard);
        polled.looks = -1;
        return got;
    }

    private String lost(Shard shard, long oldestMs) {
        String since = shard.readToMs == 0 ? "" : " from " + Instant.ofEpochMilli(shard.readToMs);
        return "shard " + shard.id + " of the Kinesis stream " + stream.name + " no longer holds what follows "
                + (shard.after == null ? "its beginning" : shard.after) + ": what arrived" + since + " to "
                + (shard.readToMs < oldestMs ? Instant.ofEpochMilli(oldestMs) : "a day ago")
                + " may be lost";
    }

    /** Stops the job, or where that was accepted goes on: {@code cause} says whether the shard is there. */
    private GetRecordsResponse gone(Polled polled, String said, SdkException cause)
            throws IOException {
        Shard shard = polled.shard;
        String at = shard.after == null ? "0" : shard.after;
        if (!at.equals(stream.accepted.get(shard.id)) && shard.readToMs >= stream.acceptedMs) {
            throw new IOException(
                    said + ". `tillstream job restore --accept-loss` goes on without it, and so does it to "
                            + "set source.kafka.accepted_loss to {\"" + stream.name + '/' + shard.id + "\": ["
                            + at + ", " + at + "]} (docs/runbooks/savepoints.md)",
                    cause);
        }
        LOG.warn("Accepted: {}.", said);
        polled.iterator = null;
        polled.looks = -1;
        polled.promised = false;
        polled.shard = Shard.unread(stream.name, shard.id, shard.parents);
        progress.polled.put(shard.id, polled.shard);
        return cause instanceof ResourceNotFoundException ? GetRecordsResponse.builder().build() : null;
    }

    private void take(
            Polled polled,
            GetRecordsResponse got,
            long askedMs,
            RecordsBySplits.Builder<Record> out) {
        String id = polled.shard.id;
        for (Record record : got.records()) {
            out.add(id, record);
        }
        polled.hadRecords = !got.records().isEmpty();
        long readToMs = 0;
        if (polled.hadRecords) {
            Record last = got.records().get(got.records().size() - 1);
            readToMs = last.approximateArrivalTimestamp().toEpochMilli();
            polled.shard = polled.shard.after(last.sequenceNumber(), readToMs);
        }
        if (got.millisBehindLatest() != null) {
            polled.behindMs = got.millisBehindLatest();
            if (polled.behindMs == 0 || !polled.hadRecords) {
                readToMs = askedMs - polled.behindMs;
            }
        }
        polled.promised |= polled.behindMs == 0 || readToMs > polled.oldestMs + CLEAR_MS;
        if (polled.promised) {
            polled.shard = polled.shard.readTo(readToMs);
        }
        progress.polled.put(id, polled.shard);
        polled.iterator = got.nextShardIterator();
        if (polled.iterator == null) {
            shards.remove(id);
            progress.polled.remove(id);
            out.addFinishedSplit(id);
        }
        progress.behindMs =
                shards.values().stream().mapToLong(one -> one.behindMs).max().orElse(-1);
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
