"""Every Kafka topic but the till transactions' own, whose source conf.source describes."""

from __future__ import annotations

from tillstream.catalog.resources import Topic

LOYALTY_EVENTS = Topic("loyalty_events", "customer_id", "domain.loyalty.ledger.LedgerEntry")
# These two are written by several jobs, so never in a transaction: an open one holds back what comes after
# it in its partition from every reader of committed records, for as long as a checkpoint takes, or up to
# 15 minutes after a crash. Readers tell a repeat by its id.
DEAD_LETTERS = Topic(
    "dead_letters", "dead_letter_id", "domain.dead_letter.DeadLetter", guarantee="prompt"
)
NOTICES = Topic("notices", "recipient", "domain.notice.Notice", guarantee="prompt")
# Of the inventory job alone, in one transaction with the orders that they are about.
STOCK_NOTICES = Topic("stock_notices", "recipient", "domain.notice.Notice")
# What the notifier sends.
TO_NOTIFY = (NOTICES, STOCK_NOTICES)

# A till asks for points before it takes money: into the loyalty job, and its answers out of it.
POINTS_REQUESTS = Topic("points_requests", "customer_id", "events/points_request")
POINTS_ANSWERS = Topic("points_answers", "to", "domain.loyalty.holds.PointsAnswer")

# Goodwill, expiry, transfers: into the loyalty job.
LOYALTY_ADJUSTMENTS = Topic("loyalty_adjustments", "customer_id", "events/loyalty_adjustment")
# Who joins a household's account, and who leaves it: into the loyalty job.
HOUSEHOLDS = Topic("households", "customer_id", "events/household", kept=True)
# From one account to another: out of the loyalty job and into it again.
POINTS_TRANSFERS = Topic(
    "points_transfers", "customer_id", "domain.loyalty.adjustments.PointsTransfer"
)

# Every till transaction once, checked, in one form: out of the front door.
TRANSACTIONS = Topic("transactions", "key", "domain.receipt.canonical.Receipt")

# Deliveries, transfers, counts, write-offs, plans: into the inventory job.
STOCK_MOVEMENTS = Topic("stock_movements", "document_id", "events/stock_movement")
# From store to centre and store to store: out of the inventory job and into it again.
STOCK_REQUESTS = Topic("stock_requests", "request_id", "domain.stock.actions.Request")
# Old and new quantity of every line.
STOCK_CHANGES = Topic("stock_changes", "stock_key", "domain.stock.ledger.Entry")
# What a centre has set aside for a store.
STOCK_ORDERS = Topic("stock_orders", "order_id", "domain.stock.actions.Order")
# Low, and ok again.
CENTRAL_STOCK = Topic("central_stock", "stock_key", "domain.stock.actions.CentralUpdate")
# What nearby stores could spare.
TRANSFER_OFFERS = Topic("transfer_offers", "offer_id", "domain.stock.actions.Offer")
# Stops to put first.
TRUCK_ROUTES = Topic("truck_routes", "order_id", "domain.stock.actions.TruckRoute")
# Of the inventory job, by the route that an action names.
STOCK_ROUTES = {
    "requests": STOCK_REQUESTS,
    "orders": STOCK_ORDERS,
    "central": CENTRAL_STOCK,
    "offers": TRANSFER_OFFERS,
    "truck_routes": TRUCK_ROUTES,
    "notices": STOCK_NOTICES,
}

# Products that leave the range, stores that close: into the inventory job.
ASSORTMENT = Topic("assortment", "assortment_id", "events/assortment", kept=True)

PROMOTIONS = Topic("promotions", "promotion_id", "events/promotion")
# Its copies, one for each reader.
PROMOTIONS_INVENTORY = Topic("promotions_inventory", "promotion_id", "events/promotion")
PROMOTIONS_MARKETING = Topic("promotions_marketing", "promotion_id", "events/promotion")
PROMOTIONS_PRICING = Topic("promotions_pricing", "promotion_id", "events/promotion")
PROMOTIONS_ANALYTICS = Topic("promotions_analytics", "promotion_id", "events/promotion")
# Two at different prices for one product.
PROMOTIONS_OVERLAPS = Topic("promotions_overlaps", "product", "domain.promotions.overlaps.Overlap")

SALES_MINUTES = Topic("sales_minutes", "shelf", "tables/sales_addition", "sales-by-minute")
SALES_HOURS = Topic("sales_hours", "shelf", "tables/sales_addition", "sales-by-hour")
TAX_HOURS = Topic("tax_hours", "store_day", "tables/tax_addition", "tax-by-hour")

SALES_HELD = Topic("sales_held", "store_hour", "tables/held_addition")

FRAUD_LABELS = Topic("fraud_labels", "transaction_id", "domain.fraud.decision.Label")
# What customers answer to the notice of a hold.
FRAUD_REPLIES = Topic("fraud_replies", "customer_id", "domain.fraud.asking.Reply")
FRAUD_RULES = Topic("fraud_rules", "mode", "domain.fraud.control.Order", kept=True)
FRAUD_ANSWERS = Topic(
    "fraud_answers", "origin", "domain.fraud.control.Answer", "fraud-rule-answers"
)
# To the payment system, and into the loyalty and sales jobs.
HOLDS = Topic("holds", "transaction_id", "domain.fraud.actions.Hold")

ALL: tuple[Topic, ...] = tuple(x for x in list(vars().values()) if isinstance(x, Topic))
BY_ID = {one.id: one for one in ALL}
