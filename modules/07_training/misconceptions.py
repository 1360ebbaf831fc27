"""Wrong solutions that a student plausibly writes: each fails a visible test, and no other has its fingerprint."""

WRONG = [
    dict(
        task="07-1",
        mistake="the cosine is taken of degrees",
        body=(
            "t = min(epoch / self.total_epochs, 1)\n"
            "return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(180 * t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="pi is missing inside the cosine",
        body=(
            "t = min(epoch / self.total_epochs, 1)\n"
            "return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="the epoch is not limited to total_epochs, so the cosine rises again",
        body=(
            "t = epoch / self.total_epochs\n"
            "return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="the schedule starts again after total_epochs",
        body=(
            "t = epoch % self.total_epochs / self.total_epochs\n"
            "return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="the largest and the smallest rate have changed places",
        body=(
            "t = min(epoch / self.total_epochs, 1)\n"
            "return self.max_lr + (self.min_lr - self.max_lr) * (1 + math.cos(math.pi * t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="the half is missing, so the share of max_lr starts at two",
        body=(
            "t = min(epoch / self.total_epochs, 1)\n"
            "return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * t))"
        ),
    ),
    dict(
        task="07-1",
        mistake="min_lr is not added",
        body=(
            "t = min(epoch / self.total_epochs, 1)\n"
            "return (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="the curve reaches its end an epoch early, at total_epochs - 1",
        body=(
            "t = min(epoch / (self.total_epochs - 1), 1)\n"
            "return self.min_lr + (self.max_lr - self.min_lr) * (1 + math.cos(math.pi * t)) / 2"
        ),
    ),
    dict(
        task="07-1",
        mistake="the rate falls along a straight line",
        body=("t = min(epoch / self.total_epochs, 1)\nreturn self.max_lr + (self.min_lr - self.max_lr) * t"),
    ),
    dict(
        task="07-2",
        mistake="each parameter is clipped on its own",
        body=(
            "total = 0.0\n"
            "for g in gradients:\n"
            "    n = float(np.linalg.norm(g.astype(np.float64)))\n"
            "    total += n * n\n"
            "    if n > max_norm:\n"
            "        g *= max_norm / n\n"
            "return math.sqrt(total)"
        ),
    ),
    dict(
        task="07-2",
        mistake="gradients within the limit are stretched to it",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if not math.isfinite(norm):\n"
            "    warnings.warn(f'the norm is {norm}', stacklevel=2)\n"
            "elif gradients:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="lengths are added instead of squares",
        body=(
            "norm = sum(float(np.linalg.norm(g)) for g in gradients)\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="the root is missing",
        body=(
            "norm = (sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="the gradients that the parameters know are not shortened, perhaps because new arrays were made",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if norm > max_norm:\n"
            "    gradients = [g.astype(np.float64) * (max_norm / norm) for g in gradients]\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="the length after clipping is returned",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return min(norm, max_norm)"
        ),
    ),
    dict(
        task="07-2",
        mistake="the factor is upside down",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= norm / max_norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="every number is cut off at the limit by itself",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "for g in gradients:\n"
            "    np.clip(g, -max_norm, max_norm, out=g)\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="squares are summed in float32 and overflow",
        body=(
            "norm = math.sqrt(sum(float(g.ravel() @ g.ravel()) for g in gradients))\n"
            "if math.isfinite(norm) and norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="a length that is not finite is used as a factor",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="a length that is not finite is passed on without a warning",
        body=(
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if math.isfinite(norm) and norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g *= max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        mistake="the limit is divided by the length also where that is 0",
        body=(
            "if not gradients:\n"
            "    return 0.0\n"
            "norm = math.sqrt(sum(float(np.sum(np.square(g, dtype=np.float64))) for g in gradients))\n"
            "if not math.isfinite(norm):\n"
            "    warnings.warn(f'the norm is {norm}', stacklevel=2)\n"
            "    return norm\n"
            "share = min(1.0, max_norm / norm)\n"
            "for g in gradients:\n"
            "    g *= share\n"
            "return norm"
        ),
    ),
    dict(
        task="07-3",
        mistake="the old gradients are not forgotten",
        body=(
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the gradients are forgotten between backward and the step",
        body=(
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "self.optimizer.zero_grad()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the step comes before backward",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "loss.backward()\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the gradients are not clipped",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "self.optimizer.step()\n"
            "self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the gradients are clipped after the step",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "self.optimizer.step()\n"
            "self.updates += 1\n"
            "self.clip()\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the step is taken although clipping says no",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "self.clip()\n"
            "self.optimizer.step()\n"
            "self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="a step that was left out is counted as an update",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="updates are not counted",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the loss is returned as a Tensor",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return loss, predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the loss that is returned is the one after the update",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return get_tensor_value(self.loss(self.predict(inputs), targets)), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the predictions that are returned are those after the update",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return get_tensor_value(loss), self.predict(inputs)"
        ),
    ),
    dict(
        task="07-3",
        mistake="the model is called itself, past predict",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.model(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-3",
        mistake="the loss function is called itself, past loss",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss_fn(predictions, targets)\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return get_tensor_value(loss), predictions"
        ),
    ),
    dict(
        task="07-4",
        mistake="the mean of the batch means is reported",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss\n"
            "        samples += 1\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="losses are added without their counts, and divided by the number of samples",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the weighted sum is divided by the number of batches",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += 1\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the sum is not divided",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the loss of the last batch is reported",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(loss, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the model is not switched to the mode that was asked for",
        body=(
            "total, samples = 0.0, 0\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the modes of before are not restored",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "for loss, predictions, targets in outcomes:\n"
            "    count = sample_count(targets)\n"
            "    total += loss * count\n"
            "    samples += count\n"
            "    scores.update(predictions, targets)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the modes are restored only where no error occurs",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "for loss, predictions, targets in outcomes:\n"
            "    count = sample_count(targets)\n"
            "    total += loss * count\n"
            "    samples += count\n"
            "    scores.update(predictions, targets)\n"
            "self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the model is put into training mode at the end, whatever it was in before",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.training_mode = True\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the metrics are not updated",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the metrics are updated with predictions and targets in each other's place",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(targets, predictions)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the result is the loss alone, without the metrics",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples)"
        ),
    ),
    dict(
        task="07-4",
        mistake="the rate is set after the epoch",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the rate is not set",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="the rate is set also where there is none",
        body=(
            "total, samples = 0.0, 0\n"
            "self.training_mode = training\n"
            "set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        mistake="all layers are switched by train(), also one that was frozen alone; training_mode leaves it",
        body=(
            "total, samples = 0.0, 0\n"
            "self.model.train(training)\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        count = sample_count(targets)\n"
            "        total += loss * count\n"
            "        samples += count\n"
            "        scores.update(predictions, targets)\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(total / samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradients of all batches count the same, however many samples they have",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    loss.backward()\n"
            "    samples += 1\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="each loss is divided by accumulation_steps, also where fewer batches are left",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss / accumulation_steps).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="losses are not multiplied by their counts, and divided by them all the same",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    loss.backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradients are added and never divided, or only under a new name",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradients are added without counts and never divided",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    loss.backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradients are forgotten before each batch",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    self.optimizer.zero_grad()\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the old gradients are not forgotten",
        body=(
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="a step is taken after each batch",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    for g in gradient_arrays(self.parameters()):\n"
            "        g /= samples\n"
            "    if self.clip():\n"
            "        self.optimizer.step()\n"
            "        self.updates += 1\n"
            "    yield get_tensor_value(loss), predictions, targets"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradients are divided after each batch, by the samples so far",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    for g in gradient_arrays(self.parameters()):\n"
            "        g /= samples\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="only the loss that is handed out is divided by the number of batches, and the gradients are not",
        body=(
            "self.optimizer.zero_grad()\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    loss.backward()\n"
            "    yield get_tensor_value(loss) / accumulation_steps, predictions, targets\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the loss is handed out multiplied by its count",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss * count), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradient is clipped before it is divided",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "if self.clip():\n"
            "    for g in gradient_arrays(self.parameters()):\n"
            "        g /= samples\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradient is clipped after each batch, not only at the step",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    self.clip()\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the gradients are not clipped",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "self.optimizer.step()\n"
            "self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="updates are not counted",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()"
        ),
    ),
    dict(
        task="07-5",
        mistake="the model is called itself, past predict",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.model(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the loss function is called itself, past loss",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss_fn(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="the step of a group is taken although clipping says no",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "self.clip()\n"
            "self.optimizer.step()\n"
            "self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        mistake="a group whose step was left out is counted as an update",
        body=(
            "self.optimizer.zero_grad()\n"
            "samples = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    count = sample_count(targets)\n"
            "    (loss * count).backward()\n"
            "    samples += count\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    g /= samples\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "self.updates += 1"
        ),
    ),
    dict(
        task="07-6",
        mistake="it stops an epoch late, when more epochs than patience were no better",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter > self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="it says stop only once, in the epoch in which the patience is reached",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter == self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="the counter is not set back when an epoch is better",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss = val_loss\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="each epoch is compared with the one before it, not with the best",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "    self.best_loss = val_loss\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="min_delta is added instead of subtracted",
        body=(
            "if val_loss < self.best_loss + self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="min_delta is left out",
        body=(
            "if val_loss < self.best_loss:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="nan counts as an improvement",
        body=(
            "if not val_loss >= self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="a higher loss counts as better",
        body=(
            "if self.best_loss == math.inf or val_loss > self.best_loss + self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="the best parameters are kept, not copied",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = params\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="the parameters of each epoch are kept, not those of the best",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "else:\n"
            "    self.counter += 1\n"
            "self.best_params = copy.deepcopy(params)\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="the parameters are not kept",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter >= self.patience"
        ),
    ),
    dict(
        task="07-6",
        mistake="it answers whether the epoch was better, not whether to stop",
        body=(
            "if val_loss < self.best_loss - self.min_delta:\n"
            "    self.best_loss, self.counter = val_loss, 0\n"
            "    self.best_params = copy.deepcopy(params)\n"
            "else:\n"
            "    self.counter += 1\n"
            "return self.counter == 0"
        ),
    ),
    dict(
        task="07-7",
        mistake="the optimizer is left out",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the schedule is left out",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the random generators are left out",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the history is left out",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="of the counters only the epoch is kept",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the mode of the model is left out",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the mode of the model is always that of training",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            'state["training_mode"] = True\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the history is not copied",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = self.history\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the arrays of the model are not copied",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = {name: p.data for name, p in self.model._state().items()}\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="of the model only the parameters are kept, and not the buffers",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = {name: p.data.copy() for name, p in self.model.named_parameters()}\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the generators are new ones, not in the state they are in",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = part_state(self.optimizer, parameters)\n'
            'state["scheduler"] = part_state(self.scheduler)\n'
            'state["generators"] = [np.random.Generator(np.random.PCG64(0)).bit_generator.state]\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-7",
        mistake="the objects themselves are kept, and not their states",
        body=(
            'state = {name: getattr(self, name) for name in ("epoch", "step", "updates", "skipped", "training_mode")}\n'
            'state["model"] = model_state(self.model)\n'
            'state["optimizer"] = self.optimizer\n'
            'state["scheduler"] = self.scheduler\n'
            'state["generators"] = generator_states(self.model)\n'
            'state["history"] = copy.deepcopy(self.history)\n'
            "return state"
        ),
    ),
    dict(
        task="07-8",
        mistake="epochs is taken for the number of all epochs, so that a second call does nothing",
        body=(
            "for _ in range(self.epoch, epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="validation comes before the epoch is trained",
        body=(
            "for _ in range(epochs):\n"
            "    result = None if val is None else self.validate_epoch(val)\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(result)\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="the validation is not recorded",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.validate_epoch(val)\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="the validation is made on the training data",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(train))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="the model is also trained on the validation data",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.train_epoch(val)\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="the number of accumulation steps is not handed on",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="early stopping is given the training loss although there is validation",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            '    score = self.history["train_loss"][-1]\n'
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="early stopping is not given the weights",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score)\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="early stopping is asked, and its answer is not used",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch():\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="only early stopping can end the run, and callbacks cannot",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    self.finish_epoch(stop)\n"
            "    if stop:\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="a checkpoint is saved in each epoch, whether it is the best or not",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if save_best:\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="the best is never saved",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-8",
        mistake="the checkpoint is saved before early stopping is asked",
        body=(
            "for _ in range(epochs):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    score = self.history[watched][-1]\n"
            "    stop = early_stopping is not None and early_stopping(score, model_state(self.model))\n"
            "    if self.finish_epoch(stop):\n"
            "        break"
        ),
    ),
    dict(
        task="07-12",
        mistake="a checkpoint is saved after every epoch",
        body="self.best = self.sign * newest\ntrainer.save_checkpoint(self.path)",
    ),
    dict(
        task="07-12",
        mistake="the sign is left out, so that max is taken for min",
        body="if newest < self.best:\n    self.best = newest\n    trainer.save_checkpoint(self.path)",
    ),
    dict(
        task="07-12",
        mistake="the best is not remembered, so everything is better",
        body="if self.sign * newest < self.best:\n    trainer.save_checkpoint(self.path)",
    ),
    dict(
        task="07-12",
        mistake="an epoch that is as good as the best is saved again",
        body=(
            "if self.sign * newest <= self.best:\n    self.best = self.sign * newest\n"
            "    trainer.save_checkpoint(self.path)"
        ),
    ),
    dict(
        task="07-12",
        mistake="it is compared with the epoch before, instead of the best",
        body=(
            "if self.sign * newest < self.best:\n    trainer.save_checkpoint(self.path)\nself.best = self.sign * newest"
        ),
    ),
    dict(
        task="07-12",
        mistake="nan counts as better, because the comparison is the wrong way round",
        body=(
            "if not self.sign * newest >= self.best:\n    self.best = self.sign * newest\n"
            "    trainer.save_checkpoint(self.path)"
        ),
    ),
    dict(
        task="07-12",
        mistake="larger is taken for better",
        body=(
            "if self.best == math.inf or self.sign * newest > self.best:\n    self.best = self.sign * newest\n"
            "    trainer.save_checkpoint(self.path)"
        ),
    ),
    dict(
        task="07-13",
        mistake="the scale grows after an overflow and shrinks in quiet times",
        body=(
            "if not finite:\n    self.scale *= self.growth_factor\n    self.good_steps = 0\n    return\n"
            "self.good_steps += 1\nif self.good_steps == self.growth_interval:\n"
            "    self.scale *= self.backoff_factor\n    self.good_steps = 0"
        ),
    ),
    dict(
        task="07-13",
        mistake="good steps are counted over overflows, and not in a row",
        body=(
            "if not finite:\n    self.scale *= self.backoff_factor\n    return\n"
            "self.good_steps += 1\nif self.good_steps == self.growth_interval:\n"
            "    self.scale *= self.growth_factor\n    self.good_steps = 0"
        ),
    ),
    dict(
        task="07-13",
        mistake="the count does not begin again after the scale has grown",
        body=(
            "if not finite:\n    self.scale *= self.backoff_factor\n    self.good_steps = 0\n    return\n"
            "self.good_steps += 1\nif self.good_steps >= self.growth_interval:\n"
            "    self.scale *= self.growth_factor"
        ),
    ),
    dict(
        task="07-13",
        mistake="the scale grows one good step too late",
        body=(
            "if not finite:\n    self.scale *= self.backoff_factor\n    self.good_steps = 0\n    return\n"
            "self.good_steps += 1\nif self.good_steps > self.growth_interval:\n"
            "    self.scale *= self.growth_factor\n    self.good_steps = 0"
        ),
    ),
    dict(
        task="07-13",
        mistake="every good step makes the scale grow",
        body=(
            "if not finite:\n    self.scale *= self.backoff_factor\n    self.good_steps = 0\nelse:\n"
            "    self.good_steps += 1\n    self.scale *= self.growth_factor"
        ),
    ),
    dict(
        task="07-13",
        mistake="both factors are fixed at two",
        body=(
            "if not finite:\n    self.scale /= 2\n    self.good_steps = 0\n    return\n"
            "self.good_steps += 1\nif self.good_steps == self.growth_interval:\n"
            "    self.scale *= 2\n    self.good_steps = 0"
        ),
    ),
    dict(
        task="07-13",
        mistake="after an overflow the scale stays, and only the count begins again",
        body=(
            "if not finite:\n    self.good_steps = 0\n    return\n"
            "self.good_steps += 1\nif self.good_steps == self.growth_interval:\n"
            "    self.scale *= self.growth_factor\n    self.good_steps = 0"
        ),
    ),
]
