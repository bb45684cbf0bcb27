package io.tillstream.flink;

import java.util.ArrayList;
import java.util.List;

/**
 * The households of one customer, by time. What it says depends on its events alone, not on the order in
 * which they came.
 *
 * <p>As text, for the state: a first line with the version of this form, the time before which events are
 * forgotten, how many events have counted, and the household at that time or {@code -}; then a line for
 * each event, with 1 at its end where its points were moved.
 */
final class Memberships {
    /** What the id of a household's account begins with. No customer of a household event has it. */
    static final String ACCOUNT = "household:";

    static final String REPEATED = "repeated";
    static final String CONFLICT = "id_conflict";
    static final String LATE = "beyond_horizon";
    /** Events of one customer that are remembered; the oldest is forgotten first. */
    static final int MOST = 32;

    private static final String VERSION = "1";

    private long floorMs = -1;
    private long counted;
    private String before = "";
    private final List<HouseholdEvent> events = new ArrayList<>();
    private final List<Boolean> moved = new ArrayList<>();

    /** @param stored of {@link #write}; null: none so far */
    static Memberships read(String stored) {
        Memberships of = new Memberships();
        if (stored == null) {
            return of;
        }
        String[] lines = stored.split("\n");
        String[] head = lines[0].split(" ");
        if (!head[0].equals(VERSION)) {
            throw new IllegalStateException(
                    "household state has version " + head[0] + ", this release reads up to " + VERSION
                            + ": restore with the release that wrote it, or a later one");
        }
        of.floorMs = Long.parseLong(head[1]);
        of.counted = Long.parseLong(head[2]);
        of.before = head[3].equals("-") ? "" : head[3];
        for (int i = 1; i < lines.length; i++) {
            String[] fields = lines[i].split(" ");
            of.events.add(HouseholdEvent.ofLine(fields));
            of.moved.add(fields[7].equals("1"));
        }
        return of;
    }

    String write() {
        StringBuilder text = new StringBuilder(VERSION);
        text.append(' ').append(floorMs).append(' ').append(counted);
        text.append(' ').append(before.isEmpty() ? "-" : before);
        for (int i = 0; i < events.size(); i++) {
            text.append('\n').append(events.get(i).line()).append(moved.get(i) ? " 1" : " 0");
        }
        return text.toString();
    }

    /**
     * Takes an event in.
     *
     * @param due gets the events whose points are to be moved now: this one, and a leaving that came before
     *     its joining
     * @return null, or why it does not count
     */
    String add(HouseholdEvent event, List<HouseholdEvent> due) {
        int place = 0;
        for (int i = 0; i < events.size(); i++) {
            HouseholdEvent other = events.get(i);
            if (other.id.equals(event.id)) {
                return other.same(event) ? REPEATED : CONFLICT;
            }
            boolean earlier =
                    other.atMs < event.atMs
                            || (other.atMs == event.atMs && other.id.compareTo(event.id) < 0);
            place = earlier ? i + 1 : place;
        }
        if (event.atMs <= floorMs) {
            return LATE;
        }
        events.add(place, event);
        moved.add(place, false);
        counted++;
        String now = before;
        for (int i = 0; i < events.size(); i++) {
            HouseholdEvent one = events.get(i);
            boolean counts = one.join || now.equals(one.household);
            if (counts && !moved.get(i)) {
                moved.set(i, true);
                if (!one.points.equals(HouseholdEvent.NONE)) {
                    due.add(one);
                }
            }
            now = after(now, one);
        }
        if (events.size() > MOST) {
            HouseholdEvent oldest = events.remove(0);
            moved.remove(0);
            before = after(before, oldest);
            floorMs = oldest.atMs;
        }
        return null;
    }

    /** The account of the household at that time, "" for none. */
    String at(long ms) {
        String now = before;
        for (HouseholdEvent event : events) {
            if (event.atMs > ms) {
                break;
            }
            now = after(now, event);
        }
        return now;
    }

    String newest() {
        return at(Long.MAX_VALUE);
    }

    /** How many events have counted: a newer one is a newer truth. */
    long version() {
        return counted;
    }

    private static String after(String now, HouseholdEvent event) {
        if (event.join) {
            return event.household;
        }
        return now.equals(event.household) ? "" : now;
    }
}
