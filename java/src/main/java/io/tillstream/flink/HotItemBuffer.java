package io.tillstream.flink;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/**
 * Items that wait to be written: at most one version per key, the newest. Not thread-safe.
 *
 * <p>An item is urgent, to be written as soon as may be, or held: it may wait for newer versions
 * until it is due or until the buffer fills up. At most one request per key is in flight; what comes
 * for its key meanwhile waits in {@link #behind}, so that nobody looks at it in vain.
 *
 * <p>Public, as its model in the tests speaks to it from Python.
 */
public final class HotItemBuffer {
    private static final Comparator<HotItem> BY_DUE =
            Comparator.<HotItem>comparingLong(item -> item.dueNanos).thenComparing(item -> item.key);

    private final int limit;
    private final long limitBytes;
    private final HotItem.Format format;
    private final Map<String, HotItem> urgent = new LinkedHashMap<>();
    private final Map<String, HotItem> held = new LinkedHashMap<>();
    private final Map<String, HotItem> inFlight = new HashMap<>();
    private final Map<String, HotItem> behind = new LinkedHashMap<>();
    private final TreeSet<HotItem> heldByDue = new TreeSet<>(BY_DUE);
    private long bytes;

    /** Full with {@code limit} items or {@code limitBytes}, whichever comes first. */
    public HotItemBuffer(int limit, long limitBytes, HotItem.Format format) {
        this.limit = limit;
        this.limitBytes = limitBytes;
        this.format = format;
    }

    public boolean isFull() {
        return size() >= limit || bytes >= limitBytes;
    }

    /** Held items are written before the buffer is full: the job is not to wait for the table. */
    public boolean isFilling() {
        return size() > limit / 4 * 3 || bytes > limitBytes / 4 * 3;
    }

    /** It took in what was under way when a checkpoint was due, more than once. */
    public boolean isOverfull() {
        return size() >= 2L * limit || bytes >= 2 * limitBytes;
    }

    public boolean contains(String key) {
        return urgent.containsKey(key) || held.containsKey(key) || behind.containsKey(key);
    }

    public int size() {
        return urgent.size() + held.size() + behind.size();
    }

    int held() {
        return held.size();
    }

    /** Whether all that could be written now has been. */
    public boolean nothingUrgent() {
        return urgent.isEmpty() && inFlight.isEmpty();
    }

    public boolean isEmpty() {
        return nothingUrgent() && held.isEmpty();
    }

    /** For how long the item that came first has waited, held or not; 0 if none waits. */
    long oldestNanos(long nowNanos) {
        long oldest = 0;
        for (HotItem item : inFlight.values()) {
            oldest = Math.max(oldest, nowNanos - item.sinceNanos);
        }
        for (Map<String, HotItem> waiting : List.of(urgent, held, behind)) {
            if (!waiting.isEmpty()) {
                oldest = Math.max(oldest, nowNanos - first(waiting).sinceNanos);
            }
        }
        return oldest;
    }

    /** Takes an item in; true if it was merged with one that waited already. */
    public boolean add(HotItem item, long nowNanos) {
        if (inFlight.containsKey(item.key)) {
            return put(behind, item);
        }
        if (urgent.containsKey(item.key)) {
            return put(urgent, item);
        }
        HotItem older = held.get(item.key);
        HotItem newest = older == null ? item : format.newest(older, item);
        if (older != null) {
            heldByDue.remove(older);
        }
        if (newest.dueNanos - nowNanos > 0) {
            set(held, older, newest); // in its place: who came first is first
            heldByDue.add(newest);
        } else {
            remove(held, item.key);
            set(urgent, null, newest);
        }
        return older != null;
    }

    /** True if it was merged with one that is there. */
    private boolean put(Map<String, HotItem> waiting, HotItem item) {
        HotItem older = waiting.get(item.key);
        set(waiting, older, older == null ? item : format.newest(older, item));
        return older != null;
    }

    private void set(Map<String, HotItem> waiting, HotItem older, HotItem newest) {
        waiting.put(newest.key, newest);
        bytes += newest.bytes - (older == null ? 0 : older.bytes);
    }

    private HotItem remove(Map<String, HotItem> waiting, String key) {
        HotItem item = waiting.remove(key);
        bytes -= item == null ? 0 : item.bytes;
        return item;
    }

    private HotItem unhold(HotItem item) {
        heldByDue.remove(item);
        return remove(held, item.key);
    }

    /**
     * The next item to write, now in flight, or null if none is to be written yet; {@code live}:
     * what is held need not wait for newer versions.
     */
    public HotItem take(long nowNanos, boolean live) {
        HotItem item = null;
        if (!urgent.isEmpty()) {
            item = remove(urgent, first(urgent).key);
        } else if (!held.isEmpty() && (live || nanosToNext(nowNanos) == 0 || isFilling())) {
            item = unhold(heldByDue.first());
        }
        if (item != null) {
            inFlight.put(item.key, item);
        }
        return item;
    }

    /** Nanoseconds until a held item is due; {@link Long#MAX_VALUE} if none is held. */
    public long nanosToNext(long nowNanos) {
        return held.isEmpty() ? Long.MAX_VALUE : Math.max(0, heldByDue.first().dueNanos - nowNanos);
    }

    /** The request for its key is over; true if another version waited for that. */
    public boolean done(HotItem item, long nowNanos) {
        inFlight.remove(item.key);
        HotItem next = remove(behind, item.key);
        return next != null && !add(next, nowNanos);
    }

    /** The item in flight with what came for its key meanwhile; the same one if nothing did. */
    public HotItem newest(HotItem item) {
        HotItem next = remove(behind, item.key);
        HotItem newest = next == null ? item : format.newest(item, next);
        inFlight.put(item.key, newest);
        return newest;
    }

    /** From now on nothing is held. */
    public void releaseAll() {
        urgent.putAll(held);
        held.clear();
        heldByDue.clear();
    }

    /** Every item that is not known to be written, in flight ones first. */
    public List<HotItem> unwritten() {
        List<HotItem> all = new ArrayList<>(inFlight.values());
        all.addAll(behind.values());
        all.addAll(urgent.values());
        all.addAll(held.values());
        return all;
    }

    private static HotItem first(Map<String, HotItem> waiting) {
        return waiting.values().iterator().next();
    }
}
