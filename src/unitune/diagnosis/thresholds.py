"""Every threshold of the diagnosis, each with its source, or with the reason where there is none.

Losses are compared with the *baseline loss*: what predicting the class shares (or the mean of the target) costs. It
makes thresholds independent of the task and of its scale. `bench/diagnosis_rates.py` prints how often each kind is
missed, and how often it is a false alarm.
"""

from __future__ import annotations

# Overfitting: how far the validation loss has risen over its minimum. Prechelt ("Early Stopping - But When?", 1998)
# calls this the generalization loss and stops at 1 to 5 %; here it must be past dispute, on a smoothed curve.
OVERFIT_RISE = 0.10
# ... and what the rise is in units of the baseline loss: 0.06 to 0.07 on breast cancer is 17 %, and nothing.
OVERFIT_MATERIAL = 0.03
# ... while the training loss went on falling by at least this share: a rise of both is a learning rate, not a fit.
OVERFIT_TRAIN_FALL = 0.05

# A gap between training and validation rows: as shares of the baseline loss (McFadden's pseudo R², or R²). A sound
# network on some hundred rows has a gap of up to 0.2; of one that learnt its rows by heart it is 0.5 and more.
GAP = 0.35
# ... where the training rows are explained at least so far.
GAP_EXPLAINED = 0.50
# "Fits well" is said only of a network that explains at least so much on validation rows, with such a gap at most.
FITS_EXPLAINED = 0.50
FITS_GAP = 0.15

# Underfitting: the share of the baseline loss that is explained on the rows that were trained on (McFadden's pseudo R²
# for classes, R² for numbers). McFadden (1977) calls 0.2 to 0.4 an excellent fit to held-out human choices; on its own
# training rows a network that could fit better stays below this.
UNDERFIT_EXPLAINED = 0.40
# ... with hardly any gap to the validation rows: there is capacity left to use. As a share of the baseline loss.
UNDERFIT_GAP = 0.10
# A training loss that still fell by this share in the last quarter: time comes before capacity.
UNDERFIT_STILL_FALLING = 0.01
# Another trial that explains so much more of its training rows without explaining more of the validation rows shows
# that the rest is noise; one that explains more of both shows that it is not.
UNDERFIT_OTHER_TRAIN = 0.10
UNDERFIT_OTHER_VALIDATION = 0.03
# So many times the parameters are another capacity: with less, training noise hides what capacity does.
UNDERFIT_CAPACITY = 3.0

# Too few epochs: how much the validation loss fell over the last quarter of training. A fold's noise in a quarter of
# the epochs is 1 to 3 % of the loss on data of a few hundred rows.
EPOCHS_FALL = 0.05
# ... in units of the baseline loss: a loss of 0.010 that still falls to 0.009 changes no prediction.
EPOCHS_MATERIAL = 0.01
# Enough epochs: once another quarter would bring less than this share of the loss.
EPOCHS_ENOUGH = 0.01
EPOCHS_MOST = 5  # Times the epochs so far; a longer extrapolation is a guess.

# Learning rate too high: by how much the training loss rises in an epoch, on average, in units of the baseline loss,
# while at least a quarter of all its movement is upwards. A loss averaged over an epoch falls smoothly otherwise
# (Smith, "A Disciplined Approach", 2018, section 4, reads the learning rate from the same signs).
RATE_HIGH_RISE = 0.02
RATE_HIGH_UPWARDS = 0.25
# ... or the training loss was ever so many baseline losses: the first steps threw the weights away.
RATE_HIGH_BLOWN = 3.0
# A step that changes the weights by about 1e-3 of their norm is healthy (Karpathy, CS231n notes, "ratio of
# weights:updates"); at a tenth of the norm the weights are replaced every ten steps.
UPDATE_RATIO_HIGH = 0.03
UPDATE_RATIO_LOW = 1e-4
# Too low: less than this share of the loss was learnt, and without probes less than that, in a straight line.
RATE_LOW_FALL = 0.5
RATE_LOW_FALL_UNPROBED = 0.05
RATE_LOW_UPWARDS = 0.05
# A gradient below this many baseline losses moves nothing at any rate: that is vanishing, not a low rate.
GRADIENT_GONE = 1e-4
# Bengio (2012, "Practical Recommendations", 3.1): the best rate is close to, and within a factor of 2 of, the largest
# that does not diverge. Hence steps of about 3 and 10.
RATE_STEPS = (3.0, 10.0)

# Dead units: share of a layer's units that are zero on every validation row. Lu et al. ("Dying ReLU and
# Initialization", 2019) show that a share is normal, and that a layer dead as a whole cannot recover. In a sound layer
# up to a fifth of the units are off on some hundred rows.
DEAD_SHARE = 0.40
DEAD_SEVERE = 0.75

# Saturation: share of a layer's outputs beyond 95 % of the range, where a derivative is below a tenth of its peak for
# tanh, a fifth for the sigmoid. Glorot and Bengio (2010, figure 3) see layers stop learning as most outputs get there.
SATURATED_SHARE = 0.50
# What became saturated in training may be steps that the data ask for, as of a few units on a checkerboard.
SATURATED_GROWN = 0.75
SATURATED_SEVERE = 0.80

# Gradient norms of the first over the last dense layer. In a sound network they are within two orders of magnitude
# (Glorot and Bengio, 2010, figures 7 and 8, within one); each sigmoid layer multiplies by at most a quarter.
VANISHING_RATIO = 1e-3
# ... which Adam makes up for by its own scaling: where this share of the loss is explained, it is no warning.
VANISHING_LEARNT = 0.60
EXPLODING_RATIO = 1e2
# ... or the largest gradient norm in baseline losses. Pascanu et al. (2013, section 3.2) clip at the usual norm,
# which is of the order of 1 here.
EXPLODING_NORM = 1e2

# A class is ignored if so few of its rows are found; rarer classes than so many rows say nothing.
IGNORED_RECALL = 0.10
IGNORED_ROWS = 10

# Unstable: the standard deviation over members is so many times what chance gives: that of the other trials, and for
# the accuracy that of a binomial. By chance 5 members reach 2.5 once in 20,000 (F distribution).
UNSTABLE_RATIO = 2.5
UNSTABLE_TRIALS = 4

# "Better" is said with this probability, and so is "no better": better by no more than the tolerance, the region of
# practical equivalence (Benavoli et al., "Time for a change", JMLR 18, 2017). What is neither is open, and no finding.
SURE = 0.95

# Capacity: how many widths it takes to see a knee.
KNEE_WIDTHS = 3

# What counts as the edge of a range without steps.
EDGE_QUARTER = 0.25

# Noise: reliability is the share of the variance of trial means that is due to the configurations, 1 - 1/F. Below 0.7
# a ranking is commonly called poor (Nunnally, "Psychometric Theory", 1978); below 0.5 it is more noise than signal.
NOISE_RELIABILITY = 0.50
NOISE_CREDIBLE = 0.50

# Suspiciously easy: one feature alone predicts so well ...
EASY_FEATURE = 0.98
# ... or the error is below this with 95 % confidence (rule of three, Hanley and Lippman-Hand, 1983): few real
# questions are answered without error, and on few rows an error of 0 proves nothing.
EASY_ERROR = 0.005
EASY_R2 = 0.999

# A summary by activation or width says that something is so where it is in at least half of its trials.
GROUP_SHARE = 0.50
GROUP_TRIALS = 2
