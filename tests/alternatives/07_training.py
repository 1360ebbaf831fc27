"""Right solutions that differ from the reference: probes and visible tests must pass all of them."""

RIGHT = [
    dict(
        task="07-1",
        how="by the square of a cosine of half the angle",
        body=(
            "share = np.cos(np.pi / 2 * np.clip(epoch / self.total_epochs, 0, 1)) ** 2\n"
            "return self.max_lr * share + self.min_lr * (1 - share)"
        ),
    ),
    dict(
        task="07-1",
        how="with an early return, and the mean and half the distance of the two rates",
        body=(
            "if epoch >= self.total_epochs:\n"
            "    return self.min_lr\n"
            "middle, half = (self.max_lr + self.min_lr) / 2, (self.max_lr - self.min_lr) / 2\n"
            "return middle + half * math.cos(math.pi * epoch / self.total_epochs)"
        ),
    ),
    dict(
        task="07-1",
        how="in float32, by a complex exponential",
        body=(
            "turn = np.exp(np.complex64(1j * np.pi * min(epoch, self.total_epochs) / self.total_epochs))\n"
            "return float(np.float32(self.min_lr) + np.float32(self.max_lr - self.min_lr) * (1 + turn.real) / 2)"
        ),
    ),
    dict(
        task="07-1",
        how="downwards from the highest rate by a sine",
        body=(
            "progress = epoch / self.total_epochs if epoch < self.total_epochs else 1\n"
            "return self.max_lr - (self.max_lr - self.min_lr) * np.sin(progress * np.pi / 2) ** 2"
        ),
    ),
    dict(
        task="07-2",
        how="by the norm of one long vector",
        body=(
            "if not gradients:\n"
            "    return 0.0\n"
            "norm = float(np.linalg.norm(np.concatenate([g.astype(np.float64).ravel() for g in gradients])))\n"
            "if not np.isfinite(norm):\n"
            "    warnings.warn('the gradient is broken', stacklevel=2)\n"
            "    return norm\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        g[...] = g * (max_norm / norm)\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        how="number by number, with a product for each",
        body=(
            "norm = math.hypot(*(float(x) for g in gradients for x in g.flat))\n"
            "if math.isinf(norm) or math.isnan(norm):\n"
            "    warnings.warn('inf or nan', UserWarning)\n"
            "    return norm\n"
            "if norm > max_norm:\n"
            "    for g in gradients:\n"
            "        for place in np.ndindex(g.shape):\n"
            "            g[place] = g[place] * max_norm / norm\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        how="as PyTorch does it: the norm of the norms, a little added below the line, and always a product",
        body=(
            "norms = [np.linalg.norm(np.asarray(g, dtype=np.float64)) for g in gradients]\n"
            "norm = float(np.linalg.norm(norms)) if norms else 0.0\n"
            "if not math.isfinite(norm):\n"
            "    warnings.warn(f'clip_grad_norm: {norm}')\n"
            "else:\n"
            "    factor = min(1.0, max_norm / (norm + 1e-6))\n"
            "    for g in gradients:\n"
            "        np.multiply(g, factor, out=g)\n"
            "return norm"
        ),
    ),
    dict(
        task="07-2",
        how="by einsum, with a quotient",
        body=(
            "squares = [np.einsum('i,i->', g.ravel(), g.ravel(), dtype=np.float64) for g in gradients]\n"
            "norm = np.sqrt(np.sum(squares, dtype=np.float64))\n"
            "if np.isfinite(norm):\n"
            "    for g in gradients if norm > max_norm else []:\n"
            "        g /= norm / max_norm\n"
            "else:\n"
            "    warnings.warn('the norm is not finite')\n"
            "return float(norm)"
        ),
    ),
    dict(
        task="07-3",
        how="forgetting the gradients parameter by parameter, after the forward pass",
        body=(
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "for parameter in self.parameters():\n"
            "    parameter.grad = None\n"
            "loss.backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1\n"
            "return loss.item(), predictions"
        ),
    ),
    dict(
        task="07-3",
        how="with an early return, and predictions without their graph",
        body=(
            "self.optimizer.zero_grad()\n"
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "value = float(loss.data)\n"
            "loss.backward()\n"
            "if not self.clip():\n"
            "    return value, predictions.detach()\n"
            "self.optimizer.step()\n"
            "self.updates = self.updates + 1\n"
            "return value, predictions.detach()"
        ),
    ),
    dict(
        task="07-3",
        how="counting what clipping says",
        body=(
            "predictions = self.predict(inputs)\n"
            "loss = self.loss(predictions, targets)\n"
            "self.optimizer.zero_grad()\n"
            "loss.backward()\n"
            "steps = int(self.clip())\n"
            "for _ in range(steps):\n"
            "    self.optimizer.step()\n"
            "self.updates += steps\n"
            "return float(loss.detach().numpy()), predictions"
        ),
    ),
    dict(
        task="07-4",
        how="by lists and a weighted average at the end",
        body=(
            "losses, counts = [], []\n"
            "self.training_mode = training\n"
            "set_rate(self.optimizer, rate_of(self.optimizer) if rate is None else rate)\n"
            "try:\n"
            "    for outcome in outcomes:\n"
            "        losses.append(outcome[0])\n"
            "        counts.append(sample_count(outcome[2]))\n"
            "        scores.update(outcome[1], outcome[2])\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return EpochResult(np.average(losses, weights=counts), **scores.compute())"
        ),
    ),
    dict(
        task="07-4",
        how="by a mean that is corrected with each batch",
        body=(
            "mean, samples = 0.0, 0\n"
            "if rate is not None:\n"
            "    set_rate(self.optimizer, rate)\n"
            "try:\n"
            "    self.training_mode = training\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        scores.update(predictions, targets)\n"
            "        count = len(targets.data)\n"
            "        samples += count\n"
            "        mean += (loss - mean) * count / samples\n"
            "    result = EpochResult(mean, **scores.compute())\n"
            "finally:\n"
            "    self.restore_modes(before)\n"
            "return result"
        ),
    ),
    dict(
        task="07-4",
        how="with a stack of what is to be done at the end, one batch at a time by next",
        body=(
            "with contextlib.ExitStack() as stack:\n"
            "    stack.callback(self.restore_modes, before)\n"
            "    self.training_mode = training\n"
            "    if rate is not None:\n"
            "        set_rate(self.optimizer, rate)\n"
            "    weighted, iterator = [], iter(outcomes)\n"
            "    while (outcome := next(iterator, None)) is not None:\n"
            "        loss, predictions, targets = outcome\n"
            "        weighted.append((loss * sample_count(targets), sample_count(targets)))\n"
            "        scores.update(predictions, targets)\n"
            "total, samples = (math.fsum(column) for column in zip(*weighted))\n"
            "values = scores.compute()\n"
            "return EpochResult(total / samples, **values)"
        ),
    ),
    dict(
        task="07-4",
        how="restoring by except and once more after it, and the count of the scores",
        body=(
            "total = 0.0\n"
            "try:\n"
            "    if rate is not None:\n"
            "        set_rate(self.optimizer, rate)\n"
            "    self.training_mode = training\n"
            "    for loss, predictions, targets in outcomes:\n"
            "        total += loss * sample_count(targets)\n"
            "        scores.update(predictions, targets)\n"
            "except BaseException:\n"
            "    self.restore_modes(before)\n"
            "    raise\n"
            "self.restore_modes(before)\n"
            "return EpochResult(total / scores.samples, **scores.compute())"
        ),
    ),
    dict(
        task="07-5",
        how="with sums of the gradients beside the parameters, which get new ones at the end",
        body=(
            "parameters = [p for p in self.parameters()]\n"
            "sums, samples = [0.0] * len(parameters), 0\n"
            "for inputs, targets in group:\n"
            "    self.optimizer.zero_grad()\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    loss.backward()\n"
            "    n = sample_count(targets)\n"
            "    sums = [s + n * p.grad.data.astype(np.float64) for s, p in zip(sums, parameters)]\n"
            "    samples += n\n"
            "    yield loss.item(), predictions, targets\n"
            "for p, s in zip(parameters, sums):\n"
            "    p.grad = Tensor(s / samples)\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        how="with gradients that are the mean of the group so far after every batch",
        body=(
            "self.optimizer.zero_grad()\n"
            "before = 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    now = before + sample_count(targets)\n"
            "    for g in gradient_arrays(self.parameters()):\n"
            "        g *= before / now\n"
            "    (loss * (sample_count(targets) / now)).backward()\n"
            "    before = now\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-5",
        how="handing out the outcomes after the step",
        body=(
            "outcomes = []\n"
            "for p in self.parameters():\n"
            "    p.grad = None\n"
            "for inputs, targets in list(group):\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    outcomes.append((float(loss.data), predictions, targets))\n"
            "    (sample_count(targets) * loss).backward()\n"
            "samples = sum(sample_count(outcome[2]) for outcome in outcomes)\n"
            "for g in gradient_arrays(self.parameters()):\n"
            "    np.multiply(g, 1 / samples, out=g)\n"
            "may_step = self.clip()\n"
            "if may_step:\n"
            "    self.optimizer.step()\n"
            "self.updates += int(may_step)\n"
            "yield from outcomes"
        ),
    ),
    dict(
        task="07-5",
        how="with one backward pass through the weighted sum of all losses",
        body=(
            "total, samples = 0.0, 0\n"
            "for inputs, targets in group:\n"
            "    predictions = self.predict(inputs)\n"
            "    loss = self.loss(predictions, targets)\n"
            "    total, samples = total + loss * sample_count(targets), samples + sample_count(targets)\n"
            "    yield get_tensor_value(loss), predictions, targets\n"
            "self.optimizer.zero_grad()\n"
            "(total / samples).backward()\n"
            "if self.clip():\n"
            "    self.optimizer.step()\n"
            "    self.updates += 1"
        ),
    ),
    dict(
        task="07-6",
        how="with an early return, and a copy through bytes",
        body=(
            "import pickle\n"
            "if self.best_loss - val_loss > self.min_delta:\n"
            "    self.best_loss, self.counter = float(val_loss), 0\n"
            "    self.best_params = pickle.loads(pickle.dumps(params))\n"
            "    return False\n"
            "self.counter += 1\n"
            "return not self.counter < self.patience"
        ),
    ),
    dict(
        task="07-6",
        how="with conditional expressions, and copies of the arrays of a dictionary",
        body=(
            "is_better = bool(val_loss + self.min_delta < self.best_loss)\n"
            "self.counter = 0 if is_better else self.counter + 1\n"
            "self.best_loss = val_loss if is_better else self.best_loss\n"
            "if is_better:\n"
            "    self.best_params = {name: np.array(w) for name, w in params.items()} if params else None\n"
            "return self.counter > self.patience - 1"
        ),
    ),
    dict(
        task="07-6",
        how="asking for what is no improvement first, nan by name",
        body=(
            "if np.isnan(val_loss) or val_loss >= self.best_loss - self.min_delta:\n"
            "    self.counter = self.counter + 1\n"
            "    if self.counter >= self.patience:\n"
            "        return True\n"
            "    return False\n"
            "self.best_params = copy.deepcopy(params)\n"
            "self.best_loss = np.float64(val_loss)\n"
            "self.counter = 0\n"
            "return False"
        ),
    ),
    dict(
        task="07-7",
        how="as one dictionary, with the model's own state and a copy of each list",
        body=(
            "return {\n"
            "    'model': self.model.state_dict(),\n"
            "    'optimizer': part_state(self.optimizer, parameters),\n"
            "    'scheduler': part_state(self.scheduler),\n"
            "    'generators': [generator.bit_generator.state for generator in generators_of(self.model)],\n"
            "    'history': {name: list(values) for name, values in self.history.items()},\n"
            "    'epoch': self.epoch,\n"
            "    'step': self.step,\n"
            "    'updates': self.updates,\n"
            "    'skipped': self.skipped,\n"
            "    'training_mode': self.training_mode,\n"
            "}"
        ),
    ),
    dict(
        task="07-7",
        how="by a deep copy of everything at the end",
        body=(
            "state = dict(epoch=self.epoch, step=self.step, updates=self.updates, skipped=self.skipped)\n"
            "state.update(training_mode=self.training_mode, history=self.history)\n"
            "state.update(model=model_state(self.model), generators=generator_states(self.model))\n"
            "state.update(optimizer=part_state(self.optimizer, parameters), scheduler=part_state(self.scheduler))\n"
            "return copy.deepcopy(state)"
        ),
    ),
    dict(
        task="07-7",
        how="with copies made by freeze, and the counters under their second names",
        body=(
            "state = freeze({'history': self.history, 'training_mode': bool(self.training_mode)}, {})\n"
            "state |= {name: int(vars(self)[name]) for name in ('epoch', 'step', 'updates', 'skipped')}\n"
            "for name, part, own in (('optimizer', self.optimizer, parameters), ('scheduler', self.scheduler, ())):\n"
            "    state[name] = None if part is None else part_state(part, own)\n"
            "state['generators'] = [freeze(g.bit_generator.state, {}) for g in generators_of(self.model)]\n"
            "state['model'] = {name: array.copy() for name, array in model_state(self.model).items()}\n"
            "return state"
        ),
    ),
    dict(
        task="07-8",
        how="counting down, with the loss of the epoch's own result",
        body=(
            "while epochs > 0:\n"
            "    epochs -= 1\n"
            "    result = self.train_epoch(train, accumulation_steps=accumulation_steps)\n"
            "    if val is not None:\n"
            "        result = self.validate_epoch(val)\n"
            "        self.record_validation(result)\n"
            "    stop = False\n"
            "    if early_stopping is not None:\n"
            "        stop = early_stopping(float(result), params=model_state(self.model))\n"
            "    if save_best:\n"
            "        if self.is_best(watched):\n"
            "            self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop):\n"
            "        epochs = 0"
        ),
    ),
    dict(
        task="07-8",
        how="with a range of the epochs to come, and a return in the middle",
        body=(
            "last = self.epoch + epochs\n"
            "for epoch in range(self.epoch, last):\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is None:\n"
            "        newest = self.history['train_loss'][-1]\n"
            "    else:\n"
            "        validation = self.validate_epoch(val)\n"
            "        self.record_validation(validation)\n"
            "        newest = self.history['val_loss'][epoch]\n"
            "    is_best = self.is_best(watched)\n"
            "    stop = early_stopping(newest, model_state(self.model)) if early_stopping is not None else False\n"
            "    if is_best and save_best:\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    if self.finish_epoch(stop=stop):\n"
            "        return self.history"
        ),
    ),
    dict(
        task="07-8",
        how="with the parts of an epoch in a function, until one says so",
        body=(
            "def one_epoch():\n"
            "    self.train_epoch(train, accumulation_steps)\n"
            "    if val is not None:\n"
            "        self.record_validation(self.validate_epoch(val))\n"
            "    ask = early_stopping or (lambda loss, params: False)\n"
            "    stop = ask(self.history[watched][-1], model_state(self.model))\n"
            "    if save_best and self.is_best(watched):\n"
            "        self.save_checkpoint(checkpoint_path)\n"
            "    return self.finish_epoch(stop)\n"
            "\n"
            "any(one_epoch() for _ in range(epochs))"
        ),
    ),
]
